"""How often each version of each model is right: now, by category, and week by week.

The estimate is `quality.accuracy`. It reads the counts that each run has, and no images.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from returns_pipeline.quality.accuracy import Cell, estimate
from returns_pipeline.records.accuracy import (
    MOST_WEEKS,
    NO_BAND,
    RECENT_DAYS,
    CategoryEstimate,
    Counted,
    Estimate,
    ModelAccuracy,
    Week,
)
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.text import printable
from returns_pipeline.store import run_predictions
from returns_pipeline.store.database import Database


def recent(db: Database, now: datetime, name: str | None = None) -> list[ModelAccuracy]:
    """Return how often each version of all models, or of one, is right now, without the weeks."""
    counts = run_predictions.between(db, _recent_since(now), name=name, by_label=True)
    return _by_model(counts, {})


def over_time(db: Database, now: datetime, name: str, zone: ZoneInfo) -> list[ModelAccuracy]:
    """Return how often each version of a model is right now and in the last weeks of a time zone."""
    counts = run_predictions.between(db, _recent_since(now), name=name, by_label=True)
    day = now.astimezone(zone).date()
    last = day - timedelta(days=day.weekday())
    mondays = [last - timedelta(weeks=weeks) for weeks in range(MOST_WEEKS - 1, -1, -1)]
    ends = [
        datetime.combine(each, datetime.min.time(), zone) for each in (*mondays, last + timedelta(weeks=1))
    ]
    return _by_model(
        counts,
        {
            monday: run_predictions.between(db, since, until, name=name)
            for monday, since, until in zip(mondays, ends, ends[1:], strict=False)
        },
    )


def of_run(db: Database, now: datetime, run_id: int) -> ModelAccuracy | None:
    """Return how often the version of a run is right now for photos of its intake; None without a photo.

    Without categories and weeks.
    """
    found = _by_model(run_predictions.between(db, _recent_since(now), like_run=run_id), {})
    return found[0]._replace(categories=()) if found else None


def left_out(db: Database, now: datetime, name: str) -> int:
    """Return how many runs of the last RECENT_DAYS are left out, because their photos were not drawn."""
    return run_predictions.left_out(db, _recent_since(now), name)


def _recent_since(now: datetime) -> datetime:
    return now - timedelta(days=RECENT_DAYS)


def _by_model(newest: Iterable[Counted], weeks: Mapping[date, Iterable[Counted]]) -> list[ModelAccuracy]:
    """Return the estimates for each version and intake."""
    of_recent = _grouped(newest)
    of_weeks = {monday: _grouped(counts) for monday, counts in weeks.items()}
    keys = {*of_recent, *(key for found in of_weeks.values() for key in found)}
    names = _names({intake for _, intake in keys if intake is not None})
    return [
        ModelAccuracy(
            key[0],
            names.get(key[1] or ""),
            _estimate(of_recent.get(key, ())),
            _categories(of_recent.get(key, ())),
            tuple(
                Week(monday, made)
                for monday, found in of_weeks.items()
                if (made := _estimate(found.get(key, ()))) is not None
            ),
        )
        for key in sorted(keys, key=lambda key: (key[0].name, -key[0].version, key[1] or ""))
    ]


def _grouped(counts: Iterable[Counted]) -> dict[tuple[ModelRef, str | None], list[Counted]]:
    found: defaultdict[tuple[ModelRef, str | None], list[Counted]] = defaultdict(list)
    for each in counts:
        found[each.model, each.intake].append(each)
    return found


def _categories(counts: Iterable[Counted]) -> tuple[CategoryEstimate, ...]:
    by_label: defaultdict[str, list[Counted]] = defaultdict(list)
    for each in counts:
        by_label[each.label].append(each)
    found = ((label, _estimate(some)) for label, some in by_label.items())
    made = [CategoryEstimate(label, of_label) for label, of_label in found if of_label is not None]
    return tuple(sorted(made, key=lambda each: (-each.estimate.photos, each.label)))


def _names(folders: Collection[str]) -> dict[str, str]:
    """Return a name for each folder: its last parts, as many as no other folder has."""
    parts = {folder: Path(folder).parts for folder in folders}
    found = {}
    for folder, mine in parts.items():
        others = [other for other in parts.values() if other != mine]
        count = next(
            (n for n in range(1, len(mine)) if all(other[-n:] != mine[-n:] for other in others)), len(mine)
        )
        found[folder] = printable("/".join(mine[-count:]) if count < len(mine) else folder)
    return found


def _estimate(counts: Iterable[Counted]) -> Estimate | None:
    """Estimate sure photos by category, unsure ones by band."""
    cells = (Cell(each.is_sure, each.label if each.is_sure else str(each.band), *each[5:]) for each in counts)
    nothing = str(NO_BAND)
    return estimate(
        cell._replace(probability=None) if cell.stratum == nothing and not cell.is_sure else cell
        for cell in cells
    )
