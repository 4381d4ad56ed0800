"""Which photos are older than they may be kept, found chunk by chunk by an index; and the passes over them.

A chunk whose photos are all removed leaves the index, so a pass costs what is left to remove. A pass notes
after which chunk it goes on, in the transaction that records what was removed.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from returns_pipeline.records.chunks import ChunkState
from returns_pipeline.records.images import ImageState
from returns_pipeline.records.removal import RetentionCounts, RetentionPass, StoredFile
from returns_pipeline.records.runs import RunKind, RunState
from returns_pipeline.store import likeness, vectors
from returns_pipeline.store.clocks import is_past
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import (
    IDENTITY,
    KEPT,
    NOT_CLOSED,
    WAITING,
    chunks,
    explanations,
    images,
    photo_looks,
    retention_passes,
    reviews,
    runs,
)

#: Seconds without progress after which another process goes on with a pass.
_LEASE_SECONDS = 900.0
#: `touched_at` of a pass that no process works on.
_FREE = datetime(2000, 1, 1, tzinfo=UTC)
#: Passes that are kept.
_MOST_PASSES = 400
_AT_ONCE = 500


class OldChunk(NamedTuple):
    """A chunk whose photos came in before the limit. `is_finished`: its run is closed."""

    id: int
    received_at: datetime
    size: int
    run_id: int
    model_version_id: int
    is_finished: bool


class OldPhoto(NamedTuple):
    """A photo of an old chunk. `in_intake`: it could not be moved from where it came in."""

    file: StoredFile
    in_intake: bool
    is_classified: bool
    waits: bool


class Place(NamedTuple):
    """A place in the order of chunks: the moment at which one came in, and its id."""

    received_at: datetime
    chunk_id: int


def old_chunks(db: Database, before: datetime, after: Place | None, most: int) -> list[OldChunk]:
    """Return chunks that came in before a moment and may still have photos, oldest first, after a place."""
    query = (
        sa.select(
            chunks.c.id,
            chunks.c.received_at,
            chunks.c.size,
            chunks.c.run_id,
            runs.c.model_version_id,
            sa.and_(runs.c.state == RunState.CLOSED, chunks.c.state == ChunkState.DONE),
        )
        .join_from(chunks, runs)
        .where(KEPT, chunks.c.received_at < before)
        .order_by(chunks.c.received_at, chunks.c.id)
        .limit(most)
    )
    if after:
        here = sa.tuple_(
            sa.literal(after.received_at, chunks.c.received_at.type),
            sa.literal(after.chunk_id, chunks.c.id.type),
        )
        query = query.where(sa.tuple_(chunks.c.received_at, chunks.c.id) > here)
    with db.read() as connection:
        return [OldChunk._make(row) for row in connection.execute(query)]


def photos(db: Database, chunk_id: int, spool: str) -> list[OldPhoto]:
    """Return the photos of a chunk that are in the archive, in quarantine or in the folder `spool`."""
    waits = sa.exists().where(reviews.c.image_id == images.c.id, WAITING)
    query = sa.select(
        images.c.id,
        images.c.source_path,
        images.c.archived_path,
        images.c.in_intake,
        images.c.size,
        IDENTITY.label("identity"),
        images.c.sha256,
        images.c.state,
        waits.label("waits"),
    ).where(images.c.chunk_id == chunk_id, images.c.deleted_at.is_(None), images.c.photo_removed_at.is_(None))
    found = []
    with db.read() as connection:
        for row in connection.execute(query):
            if row.in_intake:
                path, root = row.source_path, spool
                if row.source_path.rpartition("/")[0] != spool:
                    continue
            elif row.archived_path is not None:
                path, root = row.archived_path, row.archived_path.rsplit("/", 3)[0]
            else:
                continue
            file = StoredFile(row.id, path, root, row.size, row.identity, row.sha256)
            found.append(OldPhoto(file, row.in_intake, row.state == ImageState.CLASSIFIED, row.waits))
    return found


def night_is_open(db: Database) -> bool:
    """Whether a run has work that retention must not slow down: every kind but the day's uploads."""
    query = sa.select(runs.c.id).where(NOT_CLOSED, runs.c.kind != RunKind.API).limit(1)
    with db.read() as connection:
        return connection.execute(query).scalar() is not None


def last(db: Database) -> RetentionPass | None:
    """Return the newest pass; None before the first."""
    with db.read() as connection:
        row = connection.execute(
            sa.select(retention_passes).order_by(retention_passes.c.id.desc()).limit(1)
        ).one_or_none()
    if row is None:
        return None
    return RetentionPass(
        row.id, row.keep_days, row.started_at, row.finished_at, _counts(row.counts), row.error
    )


def _counts(stored: Mapping[str, int]) -> RetentionCounts:
    return RetentionCounts(**{name: stored.get(name, 0) for name in RetentionCounts._fields})


class Held(NamedTuple):
    """A pass that this process works on. `touched_at` proves it: another process would have changed it."""

    id: int
    touched_at: datetime
    after: Place | None
    counts: RetentionCounts


def begin(db: Database, keep_days: int, now: datetime) -> Held | None:
    """Go on with the open pass, or start one; None if another process works on it."""
    with db.write() as connection:
        row = connection.execute(
            sa.select(retention_passes).order_by(retention_passes.c.id.desc()).limit(1).with_for_update()
        ).one_or_none()
        opened = row if row is not None and row.finished_at is None else None
        if opened is not None and opened.keep_days == keep_days:
            taken = connection.execute(
                sa.update(retention_passes)
                .where(
                    retention_passes.c.id == opened.id,
                    is_past(retention_passes.c.touched_at, now, _LEASE_SECONDS),
                )
                .values(touched_at=now)
            )
            if not taken.rowcount:
                return None
            at = opened.after_received_at
            after = Place(at, opened.after_chunk_id) if at else None
            return Held(opened.id, now, after, _counts(opened.counts))
        if opened is not None:
            this = retention_passes.c.id == opened.id
            connection.execute(sa.update(retention_passes).where(this).values(finished_at=now))
        inserted = connection.execute(
            sa.insert(retention_passes)
            .values(keep_days=keep_days, started_at=now, touched_at=now, counts=RetentionCounts()._asdict())
            .returning(retention_passes.c.id)
        ).scalar_one()
        connection.execute(
            sa.delete(retention_passes).where(retention_passes.c.id <= int(inserted) - _MOST_PASSES)
        )
        return Held(int(inserted), now, None, RetentionCounts())


def record(
    db: Database,
    held: Held,
    chunk: OldChunk,
    gone: Sequence[int],
    counts: RetentionCounts,
    *,
    is_empty: bool,
    error: str | None,
) -> Held | None:
    """Record what was removed of a chunk: the photos `gone`, `counts` of them and of those kept back.

    `is_empty`: nothing of the chunk is left, so it is not looked at again. Returns None if another process
    has taken over the pass; the photos are recorded all the same.
    """
    now = max(utc_now(), held.touched_at)
    added = held._replace(
        touched_at=now, after=Place(chunk.received_at, chunk.id), counts=held.counts.plus(counts)
    )
    values: dict[str, object] = {
        "touched_at": now,
        "after_received_at": chunk.received_at,
        "after_chunk_id": chunk.id,
        "counts": added.counts._asdict(),
    }
    with db.write(lasting=bool(gone)) as connection:
        if gone:
            _record_gone(connection, chunk, gone, now)
        if is_empty:
            this = chunks.c.id == chunk.id
            connection.execute(sa.update(chunks).where(this).values(photos_removed_at=now))
        mine = connection.execute(
            sa.update(retention_passes)
            .where(retention_passes.c.id == held.id, retention_passes.c.touched_at == held.touched_at)
            .values(values | ({"error": error} if error else {}))
        )
        return added if mine.rowcount else None


def _record_gone(connection: sa.Connection, chunk: OldChunk, gone: Sequence[int], now: datetime) -> None:
    for start in range(0, len(gone), _AT_ONCE):
        ids = gone[start : start + _AT_ONCE]
        these = images.c.id.in_(ids)
        # Waits for a late write of an explanation, which refers to the image.
        connection.execute(sa.select(images.c.id).where(these).order_by(images.c.id).with_for_update())
        connection.execute(
            sa.update(images).where(these).values(photo_removed_at=now, archived_path=None, in_intake=False)
        )
        for table in (explanations, photo_looks):
            connection.execute(sa.delete(table).where(table.c.image_id.in_(ids)))
        likeness.forget_pictures(connection, ids)
    vectors.remove(connection, chunk.model_version_id, chunk.id, gone)
    # Its report shows photos and where they are: it is written again.
    connection.execute(sa.update(runs).where(runs.c.id == chunk.run_id).values(corrected_at=now))


def pause(db: Database, held: Held) -> None:
    """Let another process go on with a pass."""
    _change(db, held, {"touched_at": _FREE})


def finish(db: Database, held: Held) -> None:
    """Record that a pass has looked at every old chunk."""
    _change(db, held, {"touched_at": _FREE, "finished_at": utc_now()})


def _change(db: Database, held: Held, values: dict[str, object]) -> None:
    with db.write() as connection:
        connection.execute(
            sa.update(retention_passes)
            .where(retention_passes.c.id == held.id, retention_passes.c.touched_at == held.touched_at)
            .values(values)
        )
