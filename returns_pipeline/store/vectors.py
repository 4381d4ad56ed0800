"""Removes the embeddings of images from the rows of their chunks."""

import struct
from collections.abc import Iterable

import sqlalchemy as sa

from returns_pipeline.store.tables import embeddings

_BYTES_OF_AN_ID = 8


def remove(connection: sa.Connection, model_version_id: int, chunk_id: int, image_ids: Iterable[int]) -> None:
    """Remove images from a chunk's row of a model; the row goes with its last image."""
    this = sa.and_(embeddings.c.model_version_id == model_version_id, embeddings.c.chunk_id == chunk_id)
    row = connection.execute(sa.select(embeddings).where(this).with_for_update()).one_or_none()
    if row is None:
        return
    gone = set(image_ids)
    count = len(row.image_ids) // _BYTES_OF_AN_ID
    ids = struct.unpack(f"<{count}q", row.image_ids)
    kept = [at for at, image_id in enumerate(ids) if image_id not in gone]
    if len(kept) == count:
        return
    if not kept:
        connection.execute(sa.delete(embeddings).where(this))
        return
    width = len(row.vectors) // count
    connection.execute(
        sa.update(embeddings)
        .where(this)
        .values(
            image_ids=struct.pack(f"<{len(kept)}q", *(ids[at] for at in kept)),
            vectors=b"".join(row.vectors[at * width : (at + 1) * width] for at in kept),
        )
    )
