"""Runs: opened by a request, filled by a scan, read for lists. `run_closing` closes them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog

from returns_pipeline import tracing
from returns_pipeline.errors import NotFoundError, PipelineError
from returns_pipeline.records.chunks import ChunkState
from returns_pipeline.records.images import FoundFile, ImageState
from returns_pipeline.records.models import ModelFacts, ModelRef
from returns_pipeline.records.places import folder_of
from returns_pipeline.records.runs import (
    NIGHTS,
    NOTHING_LEFT,
    LeftBehind,
    Progress,
    RunCounts,
    RunKind,
    RunRequest,
    RunState,
    RunSummary,
)
from returns_pipeline.store import bulk, models
from returns_pipeline.store.clocks import is_past
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.images import release_replaced
from returns_pipeline.store.joins import RUNS_WITH_MODEL
from returns_pipeline.store.tables import (
    COLOURED,
    NOT_CLOSED,
    REQUESTS,
    PathText,
    chunks,
    escape_path,
    images,
    model_versions,
    runs,
)

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Columns of an image that a scan fills.
_SCANNED = ("run_id", "chunk_id", "source_path", "in_intake", "size", "mtime_ns", "identity", "state")

#: The unique index that lets one row have a file while it is in the intake.
_IN_INTAKE = "(source_path) WHERE in_intake"
# The statements of each chunk are built once: building one costs more than executing it.
_TOUCH = sa.update(runs).where(runs.c.id == sa.bindparam("run"), runs.c.state == RunState.SCANNING)
_NEW_CHUNK = sa.insert(chunks).values(state=ChunkState.OPEN).returning(chunks.c.id)
_SIZE = sa.select(sa.func.count()).select_from(images).where(images.c.chunk_id == sa.bindparam("chunk"))
_OF_REQUEST = sa.select(runs.c.id).where(runs.c.request_id == sa.bindparam("request"))


#: Whether each file is still at its place, asked for after its row is inserted.
IsThere = Callable[[Sequence[FoundFile]], Sequence[bool]]


class NotScanningError(PipelineError):
    """The run takes no more files, because another delivery of the same request has ended its scan."""


def open_run(db: Database, request: RunRequest) -> int:
    """Open a run for `request`; return its id. A repeated request returns the run of the first one.

    Raises ConfigFault if the model's version was registered with another digest.
    """
    with db.write(lasting=True) as connection:
        run_id, _ = _insert_run(db, connection, request, RunState.SCANNING)
        return run_id


def open_complete_run(
    db: Database,
    request: RunRequest,
    files: Iterable[Sequence[FoundFile]],
    is_there: IsThere | None,
) -> tuple[int, list[int]]:
    """Open a run with all its chunks in one transaction; return its id and the chunks' ids.

    Without `is_there` (see `add_chunks`) the files stay where they are. A repeated request returns the run of
    the first one, and no chunks: the sweep sends those that were not sent.
    """
    # Durable, because the message of the request is acknowledged after this.
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
    is_there: IsThere,
) -> list[int]:
    """Add chunks with a row for each file that belongs to no other row in the intake; return their ids.

    A chunk without any such file is not added. `is_there` is called after the rows are inserted, and the row
    of a file that is gone is deleted. Such a file was listed, then moved by the worker of another row. That
    worker moves it before its row releases the path, and so before the insert here can succeed.

    Raises NotScanningError if the run takes no more files.
    """
    with db.write() as connection:
        return insert_chunks(connection, run_id, files, is_there)


def insert_chunks(
    connection: sa.Connection,
    run_id: int,
    files: Iterable[Sequence[FoundFile]],
    is_there: IsThere,
) -> list[int]:
    """Add chunks as `add_chunks`, in the caller's transaction."""
    _touch(connection, run_id)
    added = [_insert_chunk(connection, run_id, chunk, is_there) for chunk in files]
    return [chunk_id for chunk_id in added if chunk_id is not None]


def touch(db: Database, run_id: int) -> None:
    """Record that a scan makes progress. Raises NotScanningError if the run takes no more files."""
    with db.write() as connection:
        _touch(connection, run_id)


def _touch(connection: sa.Connection, run_id: int) -> None:
    touched = connection.execute(_TOUCH, {"run": run_id, "touched_at": utc_now()})
    if touched.rowcount == 0:
        raise NotScanningError("Run {run_id} takes no more files.", run_id=run_id)


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
    is_there: IsThere | None,
) -> int | None:
    """Insert a chunk and its images; return its id, or None if no file is left. See `add_chunks`."""
    now = utc_now()
    in_intake, state = is_there is not None, ImageState.PENDING.value
    values = {"run_id": run_id, "size": len(files), "sent_at": now, "received_at": now}
    values["traceparent"] = tracing.traceparent()
    chunk_id = connection.execute(_NEW_CHUNK, values).scalar_one()
    rows = [
        (run_id, chunk_id, escape_path(path), in_intake, size, mtime_ns, identity, state)
        for path, size, mtime_ns, _, identity, _, _ in files
    ]
    size = bulk.insert(connection, images, _SCANNED, rows, conflict=_IN_INTAKE)
    there = is_there(files) if is_there is not None else ()
    gone = [file.path for file, is_left in zip(files, there, strict=False) if not is_left]
    if gone:
        is_gone = sa.and_(
            images.c.chunk_id == chunk_id, images.c.source_path == sa.bindparam("gone", type_=PathText)
        )
        connection.execute(sa.delete(images).where(is_gone), [{"gone": path} for path in gone])
    if size == len(files) > 0 and not gone:
        return int(chunk_id)
    size = connection.execute(_SIZE, {"chunk": chunk_id}).scalar_one()
    if is_there is not None and size < len(files) and (free := release_replaced(connection, files)):
        rows_of = {file: row for row, file in zip(rows, files, strict=True) if file.path in free}
        still = is_there([*rows_of])
        again = [rows_of[file] for file, is_left in zip(rows_of, still, strict=True) if is_left]
        bulk.insert(connection, images, _SCANNED, again, conflict=_IN_INTAKE)
        size = connection.execute(_SIZE, {"chunk": chunk_id}).scalar_one()
    is_this = chunks.c.id == chunk_id
    connection.execute(
        sa.update(chunks).where(is_this).values(size=size) if size else sa.delete(chunks).where(is_this)
    )
    return int(chunk_id) if size else None


def end_scan(
    db: Database,
    run_id: int,
    left: LeftBehind = NOTHING_LEFT,
    intake: Path | None = None,
    file_system: str = "",
) -> None:
    """End a run's scan: every file has its row, or is counted in what the scan `left`.

    `intake` is the folder that was scanned; `file_system` says where it lies, empty if unknown.
    """
    with db.write() as connection:
        connection.execute(
            sa.update(runs)
            .where(runs.c.id == run_id, runs.c.state == RunState.SCANNING)
            .values(
                state=RunState.RUNNING,
                touched_at=utc_now(),
                **asdict(left),
                intake=_text(intake),
                file_system=file_system or None,
            )
        )


def interrupted_scans(db: Database, lease_seconds: float) -> list[tuple[str, Path | None]]:
    """Return (request id, folder) of scans without progress for `lease_seconds`.

    A run of uploads is left out: it scans nothing, but waits for the next image.
    """
    stale = is_past(runs.c.touched_at, utc_now(), lease_seconds)
    query = sa.select(runs.c.request_id, runs.c.directory).where(
        runs.c.state == RunState.SCANNING, stale, NOT_CLOSED, runs.c.kind != RunKind.API
    )
    with db.read() as connection:
        return [(row.request_id, _folder(row.directory)) for row in connection.execute(query)]


#: The columns that `summary_of` reads.
SUMMARY = sa.select(runs, model_versions.c.name, model_versions.c.version).select_from(RUNS_WITH_MODEL)


def find(db: Database, run_id: int) -> RunSummary | None:
    """Return a run, or None if there is no such run."""
    with db.read() as connection:
        row = connection.execute(SUMMARY.where(runs.c.id == run_id)).one_or_none()
        return _whole_summary(connection, row) if row else None


def existing(db: Database, run_id: int) -> RunSummary:
    """Return a run. Raises NotFoundError if there is none with this id."""
    found = find(db, run_id)
    if found is None:
        raise NotFoundError(
            "There is no run {run_id}.",
            "`returns-pipeline runs list` and the page of runs show every run.",
            run_id=run_id,
        )
    return found


def find_request(db: Database, request_id: str) -> int | None:
    """Return the id of the run that a request opened, or None before that."""
    with db.read() as connection:
        found = connection.execute(_OF_REQUEST, {"request": request_id}).scalar()
    return None if found is None else int(found)


def model_of(db: Database, run_id: int) -> ModelRef:
    """Return the model version that a run was opened for."""
    query = (
        sa.select(model_versions.c.name, model_versions.c.version)
        .select_from(RUNS_WITH_MODEL)
        .where(runs.c.id == run_id)
    )
    with db.read() as connection:
        return ModelRef(*connection.execute(query).one())


def latest(db: Database, limit: int, before: int | None = None) -> list[RunSummary]:
    """Return the newest runs, newest first; with `before`, only runs with a smaller id."""
    query = SUMMARY if before is None else SUMMARY.where(runs.c.id < before)
    with db.read() as connection:
        rows = connection.execute(query.order_by(runs.c.id.desc()).limit(limit)).all()
        return [summary_of(connection, row) for row in rows]


def opened_between(db: Database, begin: datetime, end: datetime) -> list[RunSummary]:
    """Return the runs that were opened at or after `begin` and before `end`, oldest first."""
    query = SUMMARY.where(runs.c.opened_at >= begin, runs.c.opened_at < end)
    with db.read() as connection:
        rows = connection.execute(query.order_by(runs.c.id)).all()
        return [summary_of(connection, row) for row in rows]


def newest_night(db: Database, *, finished: bool = False) -> RunSummary | None:
    """Return the newest run of a night, in time or late, or only a finished one; None before the first."""
    query = SUMMARY.where(runs.c.kind.in_(NIGHTS))
    if finished:
        query = query.where(runs.c.state == RunState.CLOSED)
    with db.read() as connection:
        row = connection.execute(query.order_by(runs.c.id.desc()).limit(1)).one_or_none()
        return _whole_summary(connection, row) if row else None


def version(db: Database) -> str:
    """Return a text that changes when a run begins or ends: pages that were opened before then notice it."""
    newest = sa.select(sa.func.max(runs.c.id)).scalar_subquery()
    still_open = sa.select(sa.func.count()).select_from(runs).where(NOT_CLOSED).scalar_subquery()
    with db.read() as connection:
        last, count = connection.execute(sa.select(newest, still_open)).one()
    return f"{last or 0}-{count}"


def unclosed(db: Database) -> list[RunSummary]:
    """Return the runs that are not closed, oldest first."""
    with db.read() as connection:
        rows = connection.execute(SUMMARY.where(NOT_CLOSED).order_by(runs.c.id)).all()
        return [summary_of(connection, row) for row in rows]


def progress(db: Database, run_id: int) -> Progress:
    """Return a run's progress in images. It is counted by chunk, so frequent calls are cheap."""
    done = sa.func.coalesce(sa.func.sum(chunks.c.size).filter(chunks.c.state == ChunkState.DONE), 0)
    total = sa.func.coalesce(sa.func.sum(chunks.c.size), 0)
    with db.read() as connection:
        state = connection.execute(sa.select(runs.c.state).where(runs.c.id == run_id)).scalar_one()
        row = connection.execute(
            sa.select(done.label("done"), total.label("total")).where(chunks.c.run_id == run_id)
        )
        counted = row.one()
    return Progress(RunState(state), int(counted.done), int(counted.total))


def summary_of(connection: sa.Connection, row: Any) -> RunSummary:
    """Return the run of a row of SUMMARY."""
    closed = row.state == RunState.CLOSED
    return RunSummary(
        id=row.id,
        kind=RunKind(row.kind),
        state=RunState(row.state),
        directory=_folder(row.directory),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        counts=RunCounts(row.seen, row.classified, row.quarantined, row.failed)
        if closed
        else _count(connection, row.id),
        model=ModelRef(row.name, row.version),
        csv=_folder(row.csv_path),
        report=_folder(row.report_path),
        left=LeftBehind(row.still_changing, row.skipped, row.unreadable_folders),
        rows_removed_at=row.rows_removed_at,
    )


def _whole_summary(connection: sa.Connection, row: Any) -> RunSummary:
    """Return a summary with the counts that lists leave out, because they read each chunk of the run."""
    counted = connection.execute(
        sa.select(*(sa.func.sum(chunks.c.timings[key].as_integer()) for key in (COLOURED, REQUESTS))).where(
            chunks.c.run_id == row.id
        )
    ).one()
    coloured, requests = (int(each or 0) for each in counted)
    return replace(summary_of(connection, row), coloured=coloured, requests=requests)


def _folder(text: str | None) -> Path | None:
    return None if text is None else folder_of(text)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _count(connection: sa.Connection, run_id: int) -> RunCounts:
    rows = connection.execute(
        sa.select(images.c.state, sa.func.count()).where(images.c.run_id == run_id).group_by(images.c.state)
    )
    # By the plain text: an unknown state of a newer version counts as seen, and so as pending.
    found: dict[str, int] = {state: int(count) for state, count in rows}
    return RunCounts(
        seen=sum(found.values()),
        classified=found.get(ImageState.CLASSIFIED, 0),
        quarantined=found.get(ImageState.QUARANTINED, 0),
        failed=found.get(ImageState.FAILED, 0),
    )
