"""How often each version of each model is right: now, by category, and week by week.

The estimate is `quality.accuracy`. It reads the counts that each run has, and no images.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from returns_pipeline.quality.accuracy import Cell, estimate
from returns_pipeline.records.accuracy import (
    MOST_WEEKS,
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
    return _by_model(run_predictions.since(db, _recent_since(now), name), now, None)


def over_time(db: Database, now: datetime, name: str, zone: ZoneInfo) -> list[ModelAccuracy]:
    """Return how often each version of a model is right now and in the last weeks of a time zone."""
    first = _monday(now, zone) - timedelta(weeks=MOST_WEEKS - 1)
    since = datetime.combine(first, datetime.min.time(), zone)
    return _by_model(run_predictions.since(db, since, name), now, zone)


def of_run(db: Database, now: datetime, run_id: int) -> ModelAccuracy | None:
    """Return how often the version of a run is right now for photos of its intake; None without a photo."""
    found = run_predictions.since(db, _recent_since(now), like_run=run_id)
    return next(iter(_by_model(found, now, None)), None)


def left_out(db: Database, now: datetime, name: str) -> int:
    """Return how many runs of the last RECENT_DAYS are left out, because their photos were not drawn."""
    return run_predictions.left_out(db, _recent_since(now), name)


def _recent_since(now: datetime) -> datetime:
    return now - timedelta(days=RECENT_DAYS)


def _monday(moment: datetime, zone: ZoneInfo) -> date:
    day = moment.astimezone(zone).date()
    return day - timedelta(days=day.weekday())


def _by_model(found: Iterable[Counted], now: datetime, zone: ZoneInfo | None) -> list[ModelAccuracy]:
    of_model: defaultdict[tuple[ModelRef, str | None], list[Counted]] = defaultdict(list)
    for each in found:
        of_model[each.model, each.intake].append(each)
    order = sorted(of_model, key=lambda key: (key[0].name, -key[0].version, key[1] or ""))
    names = _names({intake for _, intake in of_model if intake is not None})
    return [
        _of_model(model, names.get(intake or ""), of_model[model, intake], now, zone)
        for model, intake in order
    ]


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


def _of_model(
    model: ModelRef, intake: str | None, found: Sequence[Counted], now: datetime, zone: ZoneInfo | None
) -> ModelAccuracy:
    since = _recent_since(now)
    newest = [each for each in found if each.at >= since]
    by_label: defaultdict[str, list[Counted]] = defaultdict(list)
    for each in newest:
        by_label[each.label].append(each)
    by_week: defaultdict[date, list[Counted]] = defaultdict(list)
    if zone is not None:
        for each in found:
            by_week[_monday(each.at, zone)].append(each)
    categories = [
        CategoryEstimate(label, found_estimate)
        for label, some in by_label.items()
        if (found_estimate := _estimate(some)) is not None
    ]
    return ModelAccuracy(
        model,
        intake,
        _estimate(newest),
        tuple(sorted(categories, key=lambda each: (-each.estimate.photos, each.label))),
        tuple(
            Week(monday, of_week)
            for monday in sorted(by_week)
            if (of_week := _estimate(by_week[monday])) is not None
        ),
    )


def _estimate(counts: Iterable[Counted]) -> Estimate | None:
    """Estimate sure photos by category, unsure ones by band."""
    return estimate(
        Cell(each.is_sure, each.label if each.is_sure else str(each.band), *each[6:]) for each in counts
    )
