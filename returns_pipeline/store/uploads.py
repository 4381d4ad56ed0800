"""Images uploaded over HTTP: how they are added, which are pending, and their results."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from returns_pipeline.records.images import FoundFile, ImageState, Received
from returns_pipeline.records.runs import RunKind, RunState
from returns_pipeline.records.uploads import AddedImage, Upload
from returns_pipeline.store import bulk, request_keys, return_links
from returns_pipeline.store import runs as run_rows
from returns_pipeline.store.clocks import FUTURE
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.joins import PREDICTION_OF_RUN
from returns_pipeline.store.tables import NOT_CLOSED, images, predictions, runs

# The statements of every request are built once: building one costs more than executing it.
_ADDED = sa.select(images.c.source_path, images.c.id, images.c.chunk_id).where(
    images.c.chunk_id.in_(sa.bindparam("some", expanding=True))
)
_CHUNKS_OF = (
    sa.select(images.c.chunk_id).where(images.c.id.in_(sa.bindparam("some", expanding=True))).distinct()
)
_PENDING = (
    sa.select(images.c.chunk_id)
    .where(images.c.chunk_id.in_(sa.bindparam("some", expanding=True)), images.c.state == ImageState.PENDING)
    .distinct()
)
#: Stops at the first pending image of a chunk.
_PENDING_NOW = """
    SELECT id FROM chunks
    WHERE EXISTS (SELECT 1 FROM images WHERE chunk_id = chunks.id AND state = ?) AND id IN ({places})
"""
_OUTCOMES = (
    sa.select(
        images.c.id,
        images.c.state,
        images.c.code,
        images.c.detail,
        predictions.c.label_index,
        predictions.c.label,
        predictions.c.probability,
        predictions.c.main_label,
        predictions.c.main_probability,
        predictions.c.top,
        predictions.c.decision,
        predictions.c.familiarity,
        # As a condition, PostgreSQL expects one row and reads the predictions of all images for each.
        images.c.deleted_at,
    )
    .select_from(images.join(runs).outerjoin(predictions, PREDICTION_OF_RUN))
    .where(images.c.id.in_(sa.bindparam("some", expanding=True)))
)


def add(
    db: Database,
    run_id: int,
    uploads: Sequence[Upload],
    chunked: Callable[[Sequence[FoundFile]], Iterable[Sequence[FoundFile]]],
    is_there: run_rows.IsThere,
) -> list[Sequence[AddedImage | None] | None]:
    """Add the images of several requests to a run in one transaction; return them in the order of each.

    `chunked` divides the files of all requests into chunks. A request whose key another request has gets no
    row: None stands for it. None also stands for a file that is gone: see `store.runs.add_chunks` for
    `is_there`.     Raises NotScanningError if the run takes no more files.
    """
    with db.write() as connection:
        taken = _take_keys(db, connection, uploads, run_id)
        new = [upload for at, upload in enumerate(uploads) if at not in taken]
        files = [file for upload in new for file in upload.files]
        added = _added(connection, run_rows.insert_chunks(connection, run_id, chunked(files), is_there))
        given: dict[str, list[int]] = {}
        for upload in new:
            ids = [added[file.path].id for file in upload.files if file.path in added]
            if upload.key:
                request_keys.fill(connection, upload.key, ids)
            if upload.number is not None:
                given.setdefault(upload.number, []).extend(ids)
        # In this order two transactions cannot wait for each other.
        for number in sorted(given):
            return_links.give(connection, number, given[number])
    return [
        None if at in taken else [added.get(file.path) for file in upload.files]
        for at, upload in enumerate(uploads)
    ]


def _take_keys(db: Database, connection: sa.Connection, uploads: Sequence[Upload], run_id: int) -> set[int]:
    """Take the keys of requests; return the places of those whose key another request has."""
    keys = [(upload.key, at) for at, upload in enumerate(uploads) if upload.key]
    taken = set()
    # In this order two transactions cannot wait for each other.
    for key, at in sorted(keys):
        try:
            request_keys.take(db, connection, key, run_id)
        except request_keys.KeyTakenError:
            taken.add(at)
    return taken


def _added(connection: sa.Connection, chunk_ids: Sequence[int]) -> dict[str, AddedImage]:
    found = {}
    for part in bulk.parts(chunk_ids):
        for path, image_id, chunk_id in connection.execute(_ADDED, {"some": part}):
            found[path] = AddedImage(image_id, chunk_id)
    return found


def chunks_of(db: Database, image_ids: Sequence[int]) -> set[int]:
    """Return the chunks that these images belong to now."""
    return _scalars(db, _CHUNKS_OF, image_ids)


def pending(db: Database, chunk_ids: Sequence[int]) -> set[int]:
    """Return which of these chunks have pending images."""
    return _scalars(db, _PENDING, chunk_ids)


def pending_now(db: Database, chunk_ids: Sequence[int]) -> set[int] | None:
    """Return as `pending`, without waiting for anything; None if this database cannot tell so fast.

    For one thread of a process.
    """
    found: set[int] = set()
    for part in bulk.parts(chunk_ids):
        places = ", ".join("?" * len(part))
        rows = db.quick_rows(_PENDING_NOW.format(places=places), (ImageState.PENDING.value, *part))
        if rows is None:
            return None
        found.update(chunk_id for (chunk_id,) in rows)
    return found


def _scalars(db: Database, query: sa.Select[Any], ids: Sequence[int]) -> set[int]:
    found: set[int] = set()
    with db.read() as connection:
        for part in bulk.parts(ids):
            found |= set(connection.execute(query, {"some": part}).scalars())
    return found


def outcomes(db: Database, wanted: Sequence[int]) -> dict[int, Received]:
    """Return those of these images that were not deleted, with their results, by id.

    Predictions are those of each run's model.
    """
    found = {}
    with db.read() as connection:
        for part in bulk.parts(wanted):
            for *outcome, deleted_at in connection.execute(_OUTCOMES, {"some": part}):
                if deleted_at is None:
                    found[int(outcome[0])] = Received._make(outcome)
    return found


def end_days(db: Database, before: datetime) -> int:
    """Stop the upload runs that were opened before a moment from taking more images; return how many.

    They close when their images are done, like any other run.
    """
    with db.write() as connection:
        ended = connection.execute(
            sa.update(runs)
            .where(
                NOT_CLOSED,
                runs.c.kind == RunKind.API,
                runs.c.state == RunState.SCANNING,
                # The second kind was opened while the clock was ahead.
                sa.or_(runs.c.opened_at < before, runs.c.opened_at > utc_now() + FUTURE),
            )
            .values(state=RunState.RUNNING, touched_at=utc_now())
        )
        return int(ended.rowcount)


def unknown(db: Database, paths: Sequence[str]) -> list[str]:
    """Return which of these paths belong to no image in the intake."""
    with db.read() as connection:
        known: set[str] = set()
        for part in bulk.parts(paths):
            query = sa.select(images.c.source_path).where(images.c.source_path.in_(part), images.c.in_intake)
            known |= set(connection.execute(query).scalars())
    return [path for path in paths if path not in known]
