"""Chunks whose message was lost: found in the database, so that the sweep sends them again."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from returns_pipeline.records.chunks import ChunkState
from returns_pipeline.records.runs import RunKind
from returns_pipeline.store.clocks import has_ended, is_past
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import UNFINISHED, chunks, runs


class LostChunk(NamedTuple):
    """A chunk to send again, the kind of its run, and the trace that it belongs to."""

    id: int
    kind: RunKind
    traceparent: str | None


def lost(db: Database, resend_seconds: float, limit: int) -> list[LostChunk]:
    """Return open chunks that were sent over `resend_seconds` ago, oldest first."""
    was_sent = is_past(chunks.c.sent_at, utc_now(), resend_seconds)
    return _unfinished(db, sa.and_(chunks.c.state == ChunkState.OPEN, was_sent), limit)


def expired(db: Database, lease_seconds: float, resend_seconds: float, limit: int) -> list[LostChunk]:
    """Return chunks whose lease expired and that were not sent again since."""
    now = utc_now()
    ended = sa.and_(chunks.c.state == ChunkState.LEASED, has_ended(chunks.c.lease_until, now, lease_seconds))
    return _unfinished(db, sa.and_(ended, is_past(chunks.c.sent_at, now, resend_seconds)), limit)


def mark_sent(db: Database, chunk_ids: Sequence[int]) -> None:
    """Record that chunks were sent now."""
    if chunk_ids:
        with db.write() as connection:
            connection.execute(
                sa.update(chunks).where(chunks.c.id == sa.bindparam("chunk")).values(sent_at=utc_now()),
                [{"chunk": chunk_id} for chunk_id in chunk_ids],
            )


def _unfinished(db: Database, condition: sa.ColumnElement[bool], limit: int) -> list[LostChunk]:
    query = (
        sa.select(chunks.c.id, runs.c.kind, chunks.c.traceparent)
        .join_from(chunks, runs)
        .where(UNFINISHED, condition)
        .order_by(chunks.c.id)
        .limit(limit)
    )
    with db.read() as connection:
        return [LostChunk(row.id, RunKind(row.kind), row.traceparent) for row in connection.execute(query)]
