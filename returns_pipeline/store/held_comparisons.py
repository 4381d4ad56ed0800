"""Which chunks are compared at this moment, so that several processes divide them.

A hold ends by its time, so that another process compares the chunk of one that was killed. That two processes
compare one chunk wastes time and changes nothing.
"""

from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa

from returns_pipeline.store import likeness
from returns_pipeline.store.clocks import has_ended
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import held_comparisons, uncompared_chunks


class Held(NamedTuple):
    """A chunk that this process compares next, and how many others are compared."""

    chunk_id: int
    others: int


def hold(db: Database, most: int, seconds: float) -> Held | None:
    """Hold the oldest chunk that waits for its comparison and that no other process holds, for `seconds`.

    None if no such chunk waits, or if `most` are held.
    """
    now = utc_now()
    is_held = sa.exists().where(held_comparisons.c.chunk_id == uncompared_chunks.c.chunk_id)
    first = likeness.ready().where(~is_held).limit(1)
    insert = db.insert(held_comparisons).on_conflict_do_nothing()
    with db.write() as connection:
        connection.execute(
            sa.delete(held_comparisons).where(has_ended(held_comparisons.c.held_until, now, seconds))
        )
        while True:
            others = connection.execute(sa.select(sa.func.count()).select_from(held_comparisons)).scalar_one()
            chunk_id = connection.execute(first).scalar() if others < most else None
            if chunk_id is None:
                return None
            values = {"chunk_id": chunk_id, "held_until": now + timedelta(seconds=seconds)}
            # Another process may hold the chunk since it was read; then it is held in the next turn.
            if connection.execute(insert.values(values)).rowcount:
                return Held(chunk_id, others)
