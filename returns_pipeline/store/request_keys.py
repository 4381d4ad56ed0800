"""Keys of requests with images: written in the transaction that makes the images' rows."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from returns_pipeline.errors import PipelineError
from returns_pipeline.records.jobs import KeyedRequest, RequestKey
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import images, request_keys


class KeyTakenError(PipelineError):
    """A request with this key has been taken before, or at the same time."""


def take(db: Database, connection: sa.Connection, key: RequestKey, run_id: int) -> None:
    """Take a key for the request of this transaction. Raises KeyTakenError when it is another's.

    One that is taken at this moment is waited for: the other's transaction may yet fail.
    """
    taken = connection.execute(
        db.insert(request_keys)
        .values(id=key.id, sha256=key.sha256, run_id=run_id, images=[], created_at=utc_now())
        .on_conflict_do_nothing(index_elements=[request_keys.c.id])
        .returning(request_keys.c.id)
    ).first()
    if taken is None:
        raise KeyTakenError("This request was taken before.")


def fill(connection: sa.Connection, key: RequestKey, chunk_ids: Sequence[int]) -> None:
    """Remember the images of a key that this transaction has taken; their paths sort as they were sent."""
    query = sa.select(images.c.id).where(images.c.chunk_id.in_(chunk_ids)).order_by(images.c.source_path)
    found = list(connection.execute(query).scalars())
    connection.execute(sa.update(request_keys).where(request_keys.c.id == key.id).values(images=found))


def find(db: Database, key_id: str) -> KeyedRequest | None:
    """Return the request that took a key; None when there is none."""
    columns = request_keys.c.sha256, request_keys.c.run_id, request_keys.c.images
    with db.read() as connection:
        row = connection.execute(sa.select(*columns).where(request_keys.c.id == key_id)).one_or_none()
    return KeyedRequest(row.sha256, row.run_id, tuple(row.images)) if row else None


def forget(db: Database, before: datetime) -> None:
    """Forget the keys of requests that came before a moment."""
    with db.write() as connection:
        connection.execute(sa.delete(request_keys).where(request_keys.c.created_at < before))
