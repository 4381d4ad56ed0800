"""Nights: which one is missing, and what a clock that was ahead left."""

from datetime import datetime

import sqlalchemy as sa
import structlog

from returns_pipeline.records.runs import NIGHTS, RunKind, RunState
from returns_pipeline.store.clocks import FUTURE
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import run_changes, runs

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: What separates a request's id from its run's id, in a run that was opened while the clock was ahead.
_AHEAD = "-ahead-"
#: How many of the newest runs are searched, so that no statement reads them all.
_NEWEST_RUNS = 1000


def release_future(db: Database) -> None:
    """Free the request ids of nights and of days of uploads that were opened while the clock was ahead.

    Without this, such a run would count as the one of the true night or day.
    """
    is_dated = sa.or_(runs.c.kind.in_(NIGHTS), runs.c.kind == RunKind.API)
    query = sa.select(runs.c.id).where(
        is_recent(),
        is_dated,
        runs.c.opened_at > utc_now() + FUTURE,
        runs.c.request_id.not_like(f"%{_AHEAD}%"),
    )
    with db.read() as connection:
        found = list(connection.execute(query).scalars())
    if not found:
        return
    new_id = runs.c.request_id + sa.literal(_AHEAD) + sa.cast(runs.c.id, sa.String)
    with db.write() as connection:
        connection.execute(
            sa.update(runs)
            .where(runs.c.id.in_(found), runs.c.request_id.not_like(f"%{_AHEAD}%"))
            .values(request_id=new_id)
        )
    log.warning("clock_was_ahead", runs=found)


def is_recent() -> sa.ColumnElement[bool]:
    """Condition: a run is among the newest."""
    every = runs.alias()
    return runs.c.id > sa.select(sa.func.max(every.c.id) - _NEWEST_RUNS).scalar_subquery()


def night_is_missing(db: Database, request_id: str, due: datetime) -> bool:
    """Whether a night has no run, though an earlier run exists from before it was due.

    A run that seems to be opened in the future was opened before the clock was set back.
    """
    oldest = sa.select(sa.func.min(runs.c.id)).scalar_subquery()
    first = sa.select(runs.c.opened_at).where(runs.c.id == oldest)
    with db.read() as connection:
        opened_at = connection.execute(first).scalar()
        has_run = connection.execute(sa.select(sa.true()).where(runs.c.request_id == request_id)).scalar()
    return opened_at is not None and not due <= opened_at <= utc_now() + FUTURE and not has_run


def state(db: Database, request_id: str) -> tuple[bool, int] | None:
    """Return whether the run of a night is closed, and how many of its properties are not as usual.

    None if the night has no run. Reads no chunk and no image.
    """
    unusual = sa.select(sa.func.count()).where(run_changes.c.run_id == runs.c.id).scalar_subquery()
    query = sa.select(runs.c.state, unusual).where(runs.c.request_id == request_id)
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else (row[0] == RunState.CLOSED, int(row[1]))
