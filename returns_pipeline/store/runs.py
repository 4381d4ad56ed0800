"""Runs: opened by a request, filled by a scan, closed when the rows say so."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from returns_pipeline.errors import PipelineError
from returns_pipeline.records.images import FoundFile, ImageState
from returns_pipeline.records.jobs import RequestKey
from returns_pipeline.records.models import ModelFacts, ModelRef
from returns_pipeline.records.runs import (
    NIGHTS,
    Progress,
    RunCounts,
    RunKind,
    RunRequest,
    RunState,
    RunSummary,
)
from returns_pipeline.store import bulk, keys, models
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import (
    NOT_CLOSED,
    UNFINISHED,
    PathText,
    chunks,
    escape_path,
    images,
    model_versions,
    runs,
)

#: What is known of an image when it comes in.
_SEEN = ("run_id", "chunk_id", "source_path", "in_intake", "size", "mtime_ns", "identity", "state")


class NotScanningError(PipelineError):
    """The run takes no more files: another delivery of the same request has ended its scan."""


def open_run(db: Database, request: RunRequest) -> int:
    """Return the id of the run that `request` asked for; a request that comes twice opens one run.

    Raises ConfigFault when the model's version was another model before.
    """
    with db.write(lasting=True) as connection:
        run_id, _ = _insert_run(db, connection, request, RunState.SCANNING)
        return run_id


def open_whole_run(
    db: Database,
    request: RunRequest,
    files: Iterable[Sequence[FoundFile]],
    is_there: Callable[[FoundFile], bool] | None,
) -> tuple[int, list[int]]:
    """Open a run with all its chunks in one transaction; return its id and the chunks' ids.

    Without `is_there`, see `add_chunks`, the files stay where they are. A request that comes twice gets the
    run of the first time and no chunks: what that one may not have sent, the sweep sends.
    """
    # The message that asked is gone when this returns.
    with db.write(lasting=True) as connection:
        run_id, is_new = _insert_run(db, connection, request, RunState.RUNNING)
        if not is_new:
            return run_id, []
        added = [_insert_chunk(connection, run_id, chunk, is_there) for chunk in files]
        return run_id, [chunk_id for chunk_id in added if chunk_id is not None]


def add_chunks(
    db: Database,
    run_id: int,
    files: Iterable[Sequence[FoundFile]],
    is_there: Callable[[FoundFile], bool],
    key: RequestKey | None = None,
) -> list[int]:
    """Add chunks with a row for each intake file that no other row has taken; return their ids.

    A chunk without any such file is not added. `is_there` is asked after the rows are inserted: a file that
    another row's worker moved away since it was listed gets none. It was moved before that row let go of its
    path, and so before the insert succeeded.

    Raises NotScanningError when the run takes no more files, KeyTakenError when another request has `key`.
    """
    with db.write() as connection:
        touched = connection.execute(
            sa.update(runs)
            .where(runs.c.id == run_id, runs.c.state == RunState.SCANNING)
            .values(touched_at=utc_now())
        )
        if touched.rowcount == 0:
            raise NotScanningError("Run {run_id} takes no more files.", run_id=run_id)
        if key:
            keys.take(db, connection, key, run_id)
        added = [_insert_chunk(connection, run_id, chunk, is_there) for chunk in files]
        chunk_ids = [chunk_id for chunk_id in added if chunk_id is not None]
        if key:
            keys.fill(connection, key, chunk_ids)
        return chunk_ids


def _insert_run(
    db: Database, connection: sa.Connection, request: RunRequest, state: RunState
) -> tuple[int, bool]:
    now = utc_now()
    inserted = connection.execute(
        db.insert(runs)
        .values(
            request_id=request.id,
            kind=request.kind,
            state=state,
            directory=_text(request.directory),
            model_version_id=models.ensure(
                db, connection, ModelFacts(request.model, request.model_sha256, request.model_metrics)
            ),
            opened_at=now,
            touched_at=now,
        )
        .on_conflict_do_nothing(index_elements=[runs.c.request_id])
        .returning(runs.c.id)
    ).scalar_one_or_none()
    if inserted is not None:
        return int(inserted), True
    found = connection.execute(sa.select(runs.c.id).where(runs.c.request_id == request.id)).scalar_one()
    return int(found), False


def _insert_chunk(
    connection: sa.Connection,
    run_id: int,
    files: Sequence[FoundFile],
    is_there: Callable[[FoundFile], bool] | None,
) -> int | None:
    """Insert a chunk and its images; without `is_there` the files stay where they are."""
    chunk_id = connection.execute(
        sa.insert(chunks)
        .values(run_id=run_id, state="open", size=0, sent_at=utc_now())
        .returning(chunks.c.id)
    ).scalar_one()
    arrives, state = is_there is not None, ImageState.PENDING.value
    rows = [
        (run_id, chunk_id, escape_path(path), arrives, size, mtime_ns, identity, state)
        for path, size, mtime_ns, _, identity in files
    ]
    bulk.insert(connection, images, _SEEN, rows, conflict="(source_path) WHERE in_intake")
    gone = [file.path for file in files if is_there is not None and not is_there(file)]
    if gone:
        mine = sa.and_(
            images.c.chunk_id == chunk_id, images.c.source_path == sa.bindparam("gone", type_=PathText)
        )
        connection.execute(sa.delete(images).where(mine), [{"gone": path} for path in gone])
    size = connection.execute(
        sa.select(sa.func.count()).select_from(images).where(images.c.chunk_id == chunk_id)
    ).scalar_one()
    this = chunks.c.id == chunk_id
    connection.execute(
        sa.update(chunks).where(this).values(size=size) if size else sa.delete(chunks).where(this)
    )
    return int(chunk_id) if size else None


def end_scan(db: Database, run_id: int) -> None:
    """Say that every file of the run has its row."""
    with db.write() as connection:
        connection.execute(
            sa.update(runs)
            .where(runs.c.id == run_id, runs.c.state == RunState.SCANNING)
            .values(state=RunState.RUNNING, touched_at=utc_now())
        )


def is_complete(db: Database, run_id: int) -> bool:
    """Whether the run's scan has ended, its chunks are all done and nobody has begun to close it."""
    query = sa.select(sa.true()).where(
        runs.c.id == run_id, runs.c.state == RunState.RUNNING, ~_has_open_chunk()
    )
    with db.read() as connection:
        return connection.execute(query).scalar() is not None


def begin_closing(db: Database, run_id: int, lease_seconds: float) -> datetime | None:
    """Take the closing of a complete run; return a token, or None when it is not to be had.

    It is not when the run is not complete, or another process closes it and has shown life since a lease.
    """
    now = utc_now()
    stale = sa.and_(
        runs.c.state == RunState.CLOSING, runs.c.touched_at < now - timedelta(seconds=lease_seconds)
    )
    with db.write() as connection:
        taken = connection.execute(
            sa.update(runs)
            .where(runs.c.id == run_id, sa.or_(runs.c.state == RunState.RUNNING, stale), ~_has_open_chunk())
            .values(state=RunState.CLOSING, touched_at=now)
        )
        return now if taken.rowcount == 1 else None


def abandon_closing(db: Database, run_id: int, token: datetime) -> None:
    """Give the closing back after a fault, so that the sweep tries it again."""
    with db.write() as connection:
        connection.execute(
            sa.update(runs)
            .where(*_closing(run_id, token))
            .values(state=RunState.RUNNING, touched_at=utc_now())
        )


def _closing(run_id: int, token: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return runs.c.id == run_id, runs.c.state == RunState.CLOSING, runs.c.touched_at == token


def closing_summary(db: Database, run_id: int, closed_at: datetime) -> RunSummary:
    """Return what the run will say when it is closed at `closed_at`.

    Raises PipelineError when an image would be left without a result: such a run must not close.
    """
    with db.read() as connection:
        row = connection.execute(_SUMMARY.where(runs.c.id == run_id)).one()
        summary = replace(_summary(connection, row), state=RunState.CLOSED, closed_at=closed_at)
    if summary.counts.pending:
        raise PipelineError(
            "Run {run_id} has {pending} images without a result.",
            run_id=run_id,
            pending=summary.counts.pending,
        )
    return summary


def interrupted_scans(db: Database, lease_seconds: float) -> list[tuple[str, Path | None]]:
    """Return (request id, folder) of the scans that have shown no life for `lease_seconds`.

    A run of images from HTTP scans nothing: it waits for the next image.
    """
    before = utc_now() - timedelta(seconds=lease_seconds)
    query = sa.select(runs.c.request_id, runs.c.directory).where(
        runs.c.state == RunState.SCANNING, runs.c.touched_at < before, NOT_CLOSED, runs.c.kind != RunKind.API
    )
    with db.read() as connection:
        return [(row.request_id, _path(row.directory)) for row in connection.execute(query)]


def night_is_missing(db: Database, request_id: str, due: datetime) -> bool:
    """Whether no run has answered a night's request though the system was in use before it was due."""
    oldest = sa.select(sa.func.min(runs.c.id)).scalar_subquery()
    first = sa.select(runs.c.opened_at).where(runs.c.id == oldest)
    with db.read() as connection:
        opened_at = connection.execute(first).scalar()
        answered = connection.execute(sa.select(sa.true()).where(runs.c.request_id == request_id)).scalar()
    return opened_at is not None and opened_at < due and not answered


def to_close(db: Database, lease_seconds: float) -> list[int]:
    """Return the complete runs that nobody closes."""
    before = utc_now() - timedelta(seconds=lease_seconds)
    stuck = sa.and_(runs.c.state == RunState.CLOSING, runs.c.touched_at < before)
    ready = sa.or_(runs.c.state == RunState.RUNNING, stuck)
    query = sa.select(runs.c.id).where(NOT_CLOSED, ready, ~_has_open_chunk())
    with db.read() as connection:
        return [int(run_id) for run_id in connection.execute(query).scalars()]


def close(db: Database, summary: RunSummary, token: datetime) -> bool:
    """Write a run's counts and report and close it; false when another process has taken the closing over.

    The table refuses counts that do not add up.
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
                csv_path=_text(summary.csv),
                report_path=_text(summary.report),
            )
        )
        return closed.rowcount == 1


def _has_open_chunk() -> Any:
    return sa.exists().where(chunks.c.run_id == runs.c.id, UNFINISHED)


_SUMMARY = sa.select(runs, model_versions.c.name, model_versions.c.version).join_from(runs, model_versions)


def find(db: Database, run_id: int) -> RunSummary | None:
    """Return one run, or None when there is no such run."""
    with db.read() as connection:
        row = connection.execute(_SUMMARY.where(runs.c.id == run_id)).one_or_none()
        return _summary(connection, row) if row else None


def find_request(db: Database, request_id: str) -> int | None:
    """Return the id of the run that a request opened, or None while it has not."""
    with db.read() as connection:
        found = connection.execute(sa.select(runs.c.id).where(runs.c.request_id == request_id)).scalar()
    return None if found is None else int(found)


def model_of(db: Database, run_id: int) -> ModelRef:
    """Return the model version that a run was opened for."""
    query = (
        sa.select(model_versions.c.name, model_versions.c.version)
        .join_from(runs, model_versions)
        .where(runs.c.id == run_id)
    )
    with db.read() as connection:
        return ModelRef(*connection.execute(query).one())


def latest(db: Database, limit: int, before: int | None = None) -> list[RunSummary]:
    """Return the newest runs, newest first; of those that are older than the run `before`."""
    query = _SUMMARY if before is None else _SUMMARY.where(runs.c.id < before)
    with db.read() as connection:
        rows = connection.execute(query.order_by(runs.c.id.desc()).limit(limit)).all()
        return [_summary(connection, row) for row in rows]


def newest_night(db: Database) -> RunSummary | None:
    """Return the newest run that answered a night, in time or late; None before the first."""
    nights = runs.c.kind.in_(NIGHTS)
    with db.read() as connection:
        row = connection.execute(_SUMMARY.where(nights).order_by(runs.c.id.desc()).limit(1)).one_or_none()
        return _summary(connection, row) if row else None


def unclosed(db: Database) -> list[RunSummary]:
    """Return the runs that are not closed, oldest first."""
    with db.read() as connection:
        rows = connection.execute(_SUMMARY.where(NOT_CLOSED).order_by(runs.c.id)).all()
        return [_summary(connection, row) for row in rows]


def progress(db: Database, run_id: int) -> Progress:
    """Return how far a run has come, in images; counted by chunk, so that asking often costs little."""
    done = sa.func.coalesce(sa.func.sum(chunks.c.size).filter(chunks.c.state == "done"), 0)
    total = sa.func.coalesce(sa.func.sum(chunks.c.size), 0)
    with db.read() as connection:
        state = connection.execute(sa.select(runs.c.state).where(runs.c.id == run_id)).scalar_one()
        row = connection.execute(
            sa.select(done.label("done"), total.label("total")).where(chunks.c.run_id == run_id)
        )
        counted = row.one()
    return Progress(RunState(state), int(counted.done), int(counted.total))


def _summary(connection: sa.Connection, row: Any) -> RunSummary:
    closed = row.state == RunState.CLOSED
    return RunSummary(
        id=row.id,
        kind=RunKind(row.kind),
        state=RunState(row.state),
        directory=_path(row.directory),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        counts=RunCounts(row.seen, row.classified, row.quarantined, row.failed)
        if closed
        else _count(connection, row.id),
        model=ModelRef(row.name, row.version),
        csv=_path(row.csv_path),
        report=_path(row.report_path),
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _count(connection: sa.Connection, run_id: int) -> RunCounts:
    rows = connection.execute(
        sa.select(images.c.state, sa.func.count()).where(images.c.run_id == run_id).group_by(images.c.state)
    )
    found = {ImageState(state): int(count) for state, count in rows}
    return RunCounts(
        seen=sum(found.values()),
        classified=found.get(ImageState.CLASSIFIED, 0),
        quarantined=found.get(ImageState.QUARANTINED, 0),
        failed=found.get(ImageState.FAILED, 0),
    )
