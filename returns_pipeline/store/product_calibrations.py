"""What altered pictures say about the likeness of right items: one row for each embedding space."""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from returns_pipeline.store.clocks import is_past
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import product_calibrations

_row = product_calibrations.c
#: `begun_at` of a row on which no process works.
_FREE = datetime(2000, 1, 1, tzinfo=UTC)


def find(db: Database, space_id: int) -> tuple[int, list[float]] | None:
    """Return how many vectors the space had, and the margins of altered pictures; None before the first."""
    query = sa.select(_row.vectors, _row.margins).where(_row.space_id == space_id)
    with db.read() as connection:
        found = connection.execute(query).one_or_none()
    if found is None or found.vectors is None:
        return None
    return found.vectors, _numbers(found.margins)


def begin(db: Database, space_id: int, seconds: float) -> list[float] | None:
    """Return what is measured so far if this process shall go on; None if another one began just now.

    That is in the last `seconds`.
    """
    now = utc_now()
    with db.write() as connection:
        row = connection.execute(
            db.insert(product_calibrations)
            .values(space_id=space_id, begun_at=now)
            .on_conflict_do_update(
                index_elements=["space_id"],
                set_={"begun_at": now},
                where=is_past(_row.begun_at, now, seconds),
            )
            .returning(_row.partial)
        ).one_or_none()
    return None if row is None else _numbers(row.partial or b"")


def pause(db: Database, space_id: int, partial: Sequence[float]) -> None:
    """Store what is measured so far, and let any process go on."""
    _write(db, space_id, {"partial": _packed(partial), "begun_at": _FREE})


def save(db: Database, space_id: int, vectors: int, margins: Sequence[float]) -> None:
    """Store the margins of altered pictures, ascending."""
    values = {"vectors": vectors, "margins": _packed(margins), "partial": None, "begun_at": _FREE}
    _write(db, space_id, values)


def _write(db: Database, space_id: int, values: dict[str, object]) -> None:
    with db.write() as connection:
        connection.execute(sa.update(product_calibrations).where(_row.space_id == space_id).values(values))


def _packed(numbers: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


def _numbers(packed: bytes) -> list[float]:
    return [each for (each,) in struct.iter_unpack("<f", packed)]
