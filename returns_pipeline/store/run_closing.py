"""Closes runs: which are complete, which process closes one, and the counts that are stored at the end."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from returns_pipeline.errors import PipelineError
from returns_pipeline.records.notices import Notice
from returns_pipeline.records.runs import RunKind, RunState, RunSummary
from returns_pipeline.store import outbox
from returns_pipeline.store.clocks import is_past
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.runs import existing
from returns_pipeline.store.tables import CORRECTED, NOT_CLOSED, UNFINISHED, chunks, runs

_HAS_OPEN_CHUNK: Any = sa.exists().where(chunks.c.run_id == runs.c.id, UNFINISHED)
#: Built once, because each chunk asks for it.
_COMPLETE = sa.select(sa.true()).where(
    runs.c.id == sa.bindparam("run"), runs.c.state == RunState.RUNNING, ~_HAS_OPEN_CHUNK
)


def is_complete(db: Database, run_id: int) -> bool:
    """Whether a run's scan has ended, all its chunks are done, and no process is closing it."""
    with db.read() as connection:
        return connection.execute(_COMPLETE, {"run": run_id}).scalar() is not None


def begin_closing(db: Database, run_id: int, lease_seconds: float) -> datetime | None:
    """Begin to close a complete run; return a token, or None if the run cannot be closed now.

    It cannot if it is not complete, or if another process began or renewed its closing within
    `lease_seconds`.
    """
    with db.write() as connection:
        now = _moment_of_lock(connection, run_id)
        stale = sa.and_(runs.c.state == RunState.CLOSING, is_past(runs.c.touched_at, now, lease_seconds))
        taken = connection.execute(
            sa.update(runs)
            .where(runs.c.id == run_id, sa.or_(runs.c.state == RunState.RUNNING, stale), ~_HAS_OPEN_CHUNK)
            .values(state=RunState.CLOSING, touched_at=now)
        )
        return now if taken.rowcount == 1 else None


def _moment_of_lock(connection: sa.Connection, run_id: int) -> datetime:
    """Lock a run and return the present moment: the lock may have taken as long as a lease."""
    # As an UPDATE locks it: rows that refer to the run may be added meanwhile.
    connection.execute(sa.select(runs.c.id).where(runs.c.id == run_id).with_for_update(key_share=True))
    return utc_now()


def renew_closing(db: Database, run_id: int, token: datetime) -> datetime | None:
    """Begin the lease of a closing anew; return its new token, or None if another process closes the run."""
    with db.write() as connection:
        now = _moment_of_lock(connection, run_id)
        renewed = connection.execute(sa.update(runs).where(*_closing(run_id, token)).values(touched_at=now))
        return now if renewed.rowcount == 1 else None


def abandon_closing(db: Database, run_id: int, token: datetime, notices: Sequence[Notice] = ()) -> None:
    """Undo `begin_closing` after an error, so that the sweep tries again, and tell of it."""
    with db.write() as connection:
        connection.execute(
            sa.update(runs)
            .where(*_closing(run_id, token))
            .values(state=RunState.RUNNING, touched_at=utc_now())
        )
        outbox.add(connection, notices)


def _closing(run_id: int, token: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return runs.c.id == run_id, runs.c.state == RunState.CLOSING, runs.c.touched_at == token


def closing_summary(db: Database, run_id: int, closed_at: datetime) -> RunSummary:
    """Return the summary that the run has when it is closed at `closed_at`.

    Raises PipelineError if an image has no result, because such a run must not close.
    """
    summary = replace(existing(db, run_id), state=RunState.CLOSED, closed_at=closed_at)
    if summary.counts.pending:
        raise PipelineError(
            "Run {run_id} has {pending} images without a result.",
            run_id=run_id,
            pending=summary.counts.pending,
        )
    return summary


def to_close(db: Database, lease_seconds: float) -> list[int]:
    """Return the complete runs that no process is closing."""
    stuck = sa.and_(runs.c.state == RunState.CLOSING, is_past(runs.c.touched_at, utc_now(), lease_seconds))
    ready = sa.or_(runs.c.state == RunState.RUNNING, stuck)
    query = sa.select(runs.c.id).where(NOT_CLOSED, ready, ~_HAS_OPEN_CHUNK)
    with db.read() as connection:
        return [int(run_id) for run_id in connection.execute(query).scalars()]


def close(
    db: Database,
    summary: RunSummary,
    token: datetime,
    unsure: int | None = None,
    notices: Sequence[Notice] = (),
) -> bool:
    """Close a run with its counts and report paths; False if another process has taken over the closing.

    `unsure` is how many of its predictions are, None for unknown. A CHECK of the table refuses counts that do
    not add up.
    """
    with db.write() as connection:
        closed = connection.execute(
            sa.update(runs)
            .where(*_closing(summary.id, token))
            .values(
                state=RunState.CLOSED,
                closed_at=summary.closed_at,
                seen=summary.counts.seen,
                classified=summary.counts.classified,
                quarantined=summary.counts.quarantined,
                failed=summary.counts.failed,
                unsure=unsure,
                csv_path=str(summary.csv) if summary.csv else None,
                report_path=str(summary.report) if summary.report else None,
            )
        )
        if closed.rowcount == 1:
            outbox.add(connection, notices)
        return closed.rowcount == 1


def open_since(db: Database, before: datetime) -> list[int]:
    """Return the runs with open work from before a moment, oldest first.

    A run of uploads is open all day, so it counts only if one of its photos has waited that long.
    """
    waits = sa.exists().where(
        chunks.c.run_id == runs.c.id,
        UNFINISHED,
        sa.func.coalesce(chunks.c.received_at, runs.c.opened_at) < before,
    )
    is_old = sa.and_(runs.c.opened_at < before, sa.or_(runs.c.kind != RunKind.API, waits))
    with db.read() as connection:
        # Sorted here: for a sorted query SQLite would read all runs by their ids, not the open ones.
        query = sa.select(runs.c.id).where(NOT_CLOSED, is_old)
        return sorted(int(run_id) for run_id in connection.execute(query).scalars())


def corrected(db: Database) -> list[int]:
    """Return the closed runs with reviews that their reports do not show yet."""
    query = sa.select(runs.c.id).where(CORRECTED, runs.c.state == RunState.CLOSED)
    with db.read() as connection:
        # Sorted here: with an order, SQLite reads all runs by their ids.
        return sorted(int(run_id) for run_id in connection.execute(query).scalars())


def newest_correction(db: Database, run_id: int) -> datetime | None:
    """Return when an image of a closed run was last reviewed; None if its report shows every review."""
    query = sa.select(runs.c.corrected_at).where(runs.c.id == run_id, runs.c.state == RunState.CLOSED)
    with db.read() as connection:
        return connection.execute(query).scalar()


def end_correction(db: Database, run_id: int, corrected_at: datetime) -> None:
    """Record that the report shows every review up to `corrected_at`. A later one makes it old again."""
    with db.write() as connection:
        connection.execute(
            sa.update(runs)
            .where(runs.c.id == run_id, runs.c.corrected_at == corrected_at)
            .values(corrected_at=None)
        )
