"""What altered pictures say about the likeness of right items: one row for each embedding space."""

import struct
from collections.abc import Sequence

import sqlalchemy as sa

from returns_pipeline.store.clocks import is_past
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import product_calibrations

_row = product_calibrations.c


def find(db: Database, space_id: int) -> tuple[int, list[float]] | None:
    """Return how many vectors the space had, and the margins of altered pictures; None before the first."""
    query = sa.select(_row.vectors, _row.margins).where(_row.space_id == space_id)
    with db.read() as connection:
        found = connection.execute(query).one_or_none()
    if found is None or found.vectors is None:
        return None
    return found.vectors, [each for (each,) in struct.iter_unpack("<f", found.margins)]


def begin(db: Database, space_id: int, seconds: float) -> bool:
    """Whether this process shall calibrate a space; False if another one began in the last `seconds`."""
    now = utc_now()
    with db.write() as connection:
        done = connection.execute(
            db.insert(product_calibrations)
            .values(space_id=space_id, begun_at=now)
            .on_conflict_do_update(
                index_elements=["space_id"],
                set_={"begun_at": now},
                where=is_past(_row.begun_at, now, seconds),
            )
            .returning(_row.space_id)
        )
        return done.first() is not None


def save(db: Database, space_id: int, vectors: int, margins: Sequence[float]) -> None:
    """Store the margins of altered pictures, ascending."""
    with db.write() as connection:
        connection.execute(
            sa.update(product_calibrations)
            .where(_row.space_id == space_id)
            .values(vectors=vectors, margins=struct.pack(f"<{len(margins)}f", *margins))
        )
