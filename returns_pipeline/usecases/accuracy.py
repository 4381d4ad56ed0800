"""How often each version of each model is right: now, by category, and week by week.

The estimate is `quality.accuracy`. It reads the counts that each run has, and no images. Each process
remembers what it has estimated: half a year of nights with many categories has hundreds of thousands of
counts.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import NamedTuple
from zoneinfo import ZoneInfo

from returns_pipeline.quality.accuracy import Cell, estimates
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

#: Most periods whose estimates are remembered; the pages need MOST_WEEKS and the recent days.
_MOST_REMEMBERED = 128


class _Series(NamedTuple):
    """Photos that are estimated together: those of a version from one intake; None: that came otherwise."""

    model: ModelRef
    intake: str | None


#: Estimates of a period by what they are of: a predicted label, or None for all photos.
_Made = Mapping[_Series, Mapping[str | None, Estimate]]


class _Memory:
    """The estimates of the newest periods that were asked for, by the runs of each. For many threads."""

    def __init__(self) -> None:
        self._made: OrderedDict[object, _Made] = OrderedDict()
        self._lock = Lock()

    def get(self, key: object) -> _Made | None:
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
            return self._made.get(key)

    def put(self, key: object, made: _Made) -> None:
        with self._lock:
            self._made[key] = made
            while len(self._made) > _MOST_REMEMBERED:
                self._made.popitem(last=False)


_memory = _Memory()


def recent(db: Database, now: datetime, name: str | None = None) -> list[ModelAccuracy]:
    """Return how often each version of all models, or of one, is right now, without the weeks."""
    return _by_series(_recent(db, now), {}, name)


def over_time(db: Database, now: datetime, zone: ZoneInfo, name: str | None = None) -> list[ModelAccuracy]:
    """Return how often each version of all models, or of one, is right now and in the weeks of a zone."""
    day = now.astimezone(zone).date()
    last = day - timedelta(days=day.weekday())
    mondays = [last - timedelta(weeks=weeks) for weeks in range(MOST_WEEKS - 1, -1, -1)]
    starts = [datetime.combine(each, datetime.min.time(), zone) for each in mondays]
    weeks = dict(zip(mondays, _estimated(db, starts, by_label=False), strict=True))
    return _by_series(_recent(db, now), weeks, name)


def of_run(db: Database, now: datetime, run_id: int) -> ModelAccuracy | None:
    """Return how often the version of a run is right now for photos of its intake; None without a photo.

    Without categories and weeks.
    """
    key = run_predictions.version_and_intake(db, run_id)
    series = None if key is None else _Series(*key)
    made = {each: found for each, found in _recent(db, now).items() if each == series}
    return next((each._replace(categories=()) for each in _by_series(made, {}, None)), None)


def left_out(db: Database, now: datetime) -> dict[str, int]:
    """Return for each model how many runs of the last RECENT_DAYS are left out: no photo of them was drawn.

    Models without such runs are not in it.
    """
    return run_predictions.left_out(db, _recent_since(now))


def _recent_since(now: datetime) -> datetime:
    return now - timedelta(days=RECENT_DAYS)


def _recent(db: Database, now: datetime) -> _Made:
    (made,) = _estimated(db, [_recent_since(now)], by_label=True)
    return made


def _estimated(db: Database, starts: Sequence[datetime], *, by_label: bool) -> list[_Made]:
    """Return the estimates for each period, see `run_predictions.in_periods`.

    Periods are remembered; from the first one on whose counts have changed, they are computed again.
    """
    keys = [(str(db.url), by_label, each) for each in run_predictions.stamps(db, starts)]
    known = [_memory.get(key) for key in keys]
    first = next((place for place, made in enumerate(known) if made is None), len(known))
    found = [made for made in known[:first] if made is not None]
    if first < len(keys):
        counts = run_predictions.in_periods(db, starts[first:], by_label=by_label)
        found += _estimates(counts, by_label=by_label)
        for key, made in zip(keys[first:], found[first:], strict=True):
            _memory.put(key, made)
    return found


def _estimates(periods: Sequence[Iterable[Counted]], *, by_label: bool) -> list[_Made]:
    """Return the estimates of each period, all of them computed together."""
    groups: defaultdict[tuple[int, _Series, str | None], list[Counted]] = defaultdict(list)
    for place, counts in enumerate(periods):
        for each in counts:
            series = _Series(each.model, each.intake)
            groups[place, series, None].append(each)
            if by_label:
                groups[place, series, each.label].append(each)
    found: list[defaultdict[_Series, dict[str | None, Estimate]]] = [defaultdict(dict) for _ in periods]
    for (place, series, of), made in zip(groups, estimates(map(_cells, groups.values())), strict=True):
        if made is not None:
            found[place][series][of] = made
    return [dict(each) for each in found]


def _by_series(newest: _Made, weeks: Mapping[date, _Made], name: str | None) -> list[ModelAccuracy]:
    """Return the estimates for each version and intake, of all models or of one."""
    every = {*newest, *(series for made in weeks.values() for series in made)}
    chosen = [series for series in every if name in {None, series.model.name}]
    names = _names({series.intake for series in chosen if series.intake is not None})
    return [
        ModelAccuracy(
            series.model,
            names.get(series.intake or ""),
            newest.get(series, {}).get(None),
            _categories(newest.get(series, {})),
            tuple(Week(monday, made[series][None]) for monday, made in weeks.items() if series in made),
        )
        for series in sorted(
            chosen, key=lambda each: (each.model.name, -each.model.version, each.intake or "")
        )
    ]


def _categories(made: Mapping[str | None, Estimate]) -> tuple[CategoryEstimate, ...]:
    found = [CategoryEstimate(of, each) for of, each in made.items() if of is not None]
    return tuple(sorted(found, key=lambda each: (-each.estimate.photos, each.label)))


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


def _cells(counts: Iterable[Counted]) -> Iterator[Cell]:
    """Estimate sure photos by category, unsure ones by band."""
    for each in counts:
        cell = Cell(each.is_sure, each.label if each.is_sure else str(each.band), *each[5:])
        is_unknown = each.band == NO_BAND and not each.is_sure
        yield cell._replace(probability=None) if is_unknown else cell
