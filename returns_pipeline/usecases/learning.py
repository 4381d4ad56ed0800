"""Learns which products the same customers keep: by hand, and each night while no run is open."""

from datetime import datetime, timedelta

import structlog

from returns_pipeline.errors import ConfigFault
from returns_pipeline.recommendations.neighbours import neighbours_of
from returns_pipeline.records.recommendations import EventKind
from returns_pipeline.settings import Settings
from returns_pipeline.store import candidates, events, learnings, removed_products, retention
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.schedule import last_due

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: It begins this long after the time of the night, so that the night has opened its run.
_AFTER_NIGHT = timedelta(minutes=30)
#: One that has not finished after this time has lost its process, and is done again.
_LOST = timedelta(hours=1)


def learn(db: Database) -> int:
    """Compute anew which products the same customers kept; return how many products have neighbours.

    Raises ConfigFault if implicit is not installed.
    """
    learning_id = learnings.begin(db, utc_now())
    assert learning_id is not None  # noqa: S101 - only a nightly one is refused
    return _learn(db, learning_id)


def learn_nightly(context: Context, now: datetime | None = None) -> None:
    """Learn once a night if there are RETURNS_LEARN_EVENTS events, or if a customer was forgotten.

    What was learned from a customer who was forgotten is thus gone after the next night. May run twice. `now`
    is aware, by default the present moment.
    """
    settings, db, now = context.settings, context.db, now or utc_now()
    before = learnings.last(db)
    if not _is_due(settings, before, now) or retention.night_is_open(db):
        return
    forgotten = learnings.has_forgotten(db, before.started_at if before else None)
    if not forgotten and not (settings.learn_events and learnings.has_events(db, settings.learn_events)):
        return
    learning_id = learnings.begin(db, now, before.id if before else None, is_nightly=True)
    if learning_id is None:
        return
    try:
        count = _learn(db, learning_id)
    except ConfigFault as fault:
        log.warning("not_learned", reason=str(fault))
        return
    log.info("learned", products=count)


def _is_due(settings: Settings, before: learnings.Learning | None, now: datetime) -> bool:
    """Whether none has begun since the last night, or the one that has begun lost its process."""
    night = last_due(settings, now) + _AFTER_NIGHT
    if now < night:
        return False
    # One in the future was begun by a clock that was ahead.
    if before is None or not night <= before.started_at <= now:
        return True
    return before.finished_at is None and now - before.started_at > _LOST


def _learn(db: Database, learning_id: int) -> int:
    kept: set[tuple[str, str]] = set()
    returned: set[tuple[str, str]] = set()
    removed = removed_products.ids(db)
    for each in events.every(db):
        if each.product in removed:
            continue
        if each.kind is EventKind.KEPT:
            kept.add((each.customer, each.product))
        elif each.kind is EventKind.RETURNED:
            returned.add((each.customer, each.product))
    try:
        count = candidates.replace_neighbours(db, neighbours_of(kept - returned))
    except ConfigFault as fault:
        learnings.finish(db, learning_id, None, str(fault))
        raise
    learnings.finish(db, learning_id, count)
    return count
