"""Which chunks are compared at this moment, so that several processes divide them.

A hold ends by its time, so that another process compares the chunk of one that was killed. That two processes
compare one chunk wastes time and changes nothing.
"""

from datetime import timedelta

import sqlalchemy as sa

from returns_pipeline.store import likeness
from returns_pipeline.store.clocks import has_ended
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import held_comparisons, uncompared_chunks


def hold(db: Database, seconds: float) -> int | None:
    """Hold the oldest chunk that waits for its comparison and that no process holds, for `seconds`.

    Returns its id; None if no such chunk waits.
    """
    while True:
        now = utc_now()
        has_passed = has_ended(held_comparisons.c.held_until, now, seconds)
        is_held = sa.exists().where(held_comparisons.c.chunk_id == uncompared_chunks.c.chunk_id, ~has_passed)
        with db.read() as connection:
            chunk_id = connection.execute(likeness.ready().where(~is_held).limit(1)).scalar()
        if chunk_id is None:
            return None
        insert = db.insert(held_comparisons)
        upsert = insert.on_conflict_do_update(
            index_elements=["chunk_id"], set_={"held_until": insert.excluded.held_until}, where=has_passed
        )
        with db.write(repeated=True) as connection:
            values = {"chunk_id": chunk_id, "held_until": now + timedelta(seconds=seconds)}
            row = connection.execute(upsert.values(values).returning(held_comparisons.c.chunk_id)).first()
        # Without a row, another process holds the chunk since it was read.
        if row is not None:
            return int(chunk_id)


def release(db: Database, chunk_id: int) -> None:
    """End the hold of a chunk, so that any process may compare it."""
    with db.write(repeated=True) as connection:
        connection.execute(sa.delete(held_comparisons).where(held_comparisons.c.chunk_id == chunk_id))
