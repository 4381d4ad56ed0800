"""Removes the rows of runs that are older than RETURNS_KEEP_ROWS_DAYS. The runs' counts stay.

It follows each night, while no run is open, for some seconds of each minute.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import structlog

from returns_pipeline.records.removal import KeptRun, OldRunCounts
from returns_pipeline.settings import Settings
from returns_pipeline.store import old_runs, retention
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.old_runs import OldRun
from returns_pipeline.usecases.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Seconds that one message takes, of each minute.
_SECONDS = 10.0
_AT_ONCE = 100


def remove_some(context: Context) -> None:
    """Remove rows of old runs for some seconds, while no run is open. May run twice."""
    if not context.settings.keep_rows_days or retention.night_is_open(context.db):
        return
    deadline = time.monotonic() + _SECONDS
    found = remove_all(
        context.settings,
        context.db,
        lambda: time.monotonic() > deadline or retention.night_is_open(context.db),
    )
    if found.images:
        log.info("old_rows_removed", runs=found.runs, images=found.images)


def remove_all(settings: Settings, db: Database, is_over: Callable[[], bool] = lambda: False) -> OldRunCounts:
    """Remove the rows of every old run, until `is_over`; return what was done, and what is kept and why."""
    gone = images = 0
    kept: Counter[KeptRun] = Counter()
    for run in _old(settings, db):
        if not run.is_leaving:
            if reason := old_runs.kept_because(db, run.id):
                kept[reason] += 1
                if is_over():
                    break
                continue
            if not old_runs.begin(db, run.id):
                continue
        while count := old_runs.remove_some(db, run.id):
            images += count
            if is_over():
                return OldRunCounts(gone, images, dict(kept))
        gone += 1
    return OldRunCounts(gone, images, dict(kept))


def preview(settings: Settings, db: Database) -> OldRunCounts:
    """Return what `remove_all` would do."""
    gone = images = 0
    kept: Counter[KeptRun] = Counter()
    for run in _old(settings, db):
        if not run.is_leaving and (reason := old_runs.kept_because(db, run.id)):
            kept[reason] += 1
            continue
        gone += 1
        images += run.images
    return OldRunCounts(gone, images, dict(kept))


def _old(settings: Settings, db: Database) -> Iterator[OldRun]:
    """Yield the old runs with rows, oldest first; none if rows are kept for ever."""
    if not settings.keep_rows_days:
        return
    before, after = utc_now() - timedelta(days=settings.keep_rows_days), 0
    while found := old_runs.find(db, before, after, _AT_ONCE):
        yield from found
        after = found[-1].id
