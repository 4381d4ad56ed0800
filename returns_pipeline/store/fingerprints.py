"""Fingerprints of images: which photos came in before, found by an index."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from returns_pipeline.store import bulk
from returns_pipeline.store.database import Database
from returns_pipeline.store.joins import RECEIVED_AT
from returns_pipeline.store.tables import chunks, image_fingerprints, images, runs

_COLUMNS = ("image_id", "sha256_head")


class KnownImage(NamedTuple):
    """An image that came in before, with its sha256 and when it came in."""

    image: int
    sha256: str
    received_at: datetime


def head(sha256: str) -> int:
    """Return the first 8 bytes of a sha256, which is hexadecimal, as a signed number."""
    return int.from_bytes(bytes.fromhex(sha256[:16]), "big", signed=True)


def add(connection: sa.Connection, found: Sequence[tuple[int, int]]) -> None:
    """Add fingerprints: (image id, head of its sha256). A second write changes nothing."""
    bulk.insert(connection, image_fingerprints, _COLUMNS, found)


def known(db: Database, wanted: Sequence[str]) -> dict[str, KnownImage]:
    """Return the newest image of each sha256 that came in before, by sha256."""
    query = (
        sa.select(images.c.id, images.c.sha256, RECEIVED_AT)
        .select_from(
            image_fingerprints.join(images)
            .join(chunks, chunks.c.id == images.c.chunk_id)
            .join(runs, runs.c.id == images.c.run_id)
        )
        .where(image_fingerprints.c.sha256_head.in_(sa.bindparam("heads", expanding=True)))
        .order_by(images.c.id)
    )
    found = {}
    with db.read() as connection:
        for some in bulk.parts(wanted):
            heads = [head(sha256) for sha256 in some]
            for row in connection.execute(query, {"heads": heads}):
                found[row.sha256] = KnownImage._make(row)
    return {sha256: found[sha256] for sha256 in wanted if sha256 in found}
