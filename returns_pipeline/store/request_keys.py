"""Idempotency keys of uploads: written in the transaction that inserts the images' rows."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from returns_pipeline.errors import PipelineError
from returns_pipeline.records.jobs import KeyedRequest, RequestKey
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import request_keys


class KeyTakenError(PipelineError):
    """Another request has this key, from before or at the same moment."""


def take(db: Database, connection: sa.Connection, key: RequestKey, run_id: int) -> None:
    """Take a key for the request of this transaction. Raises KeyTakenError if another request has it.

    Waits for a concurrent transaction with the same key, because that one may still fail.
    """
    taken = connection.execute(
        db.insert(request_keys)
        .values(id=key.id, sha256=key.sha256, run_id=run_id, images=[], created_at=utc_now())
        .on_conflict_do_nothing(index_elements=[request_keys.c.id])
        .returning(request_keys.c.id)
    ).first()
    if taken is None:
        raise KeyTakenError("A request with this key was accepted before.")


def fill(connection: sa.Connection, key: RequestKey, image_ids: Sequence[int]) -> None:
    """Store the images of a key that this transaction took, in the order of the request."""
    connection.execute(
        sa.update(request_keys).where(request_keys.c.id == key.id).values(images=list(image_ids))
    )


def find(db: Database, key_id: str) -> KeyedRequest | None:
    """Return the request that took a key, or None."""
    columns = request_keys.c.sha256, request_keys.c.run_id, request_keys.c.images
    with db.read() as connection:
        row = connection.execute(sa.select(*columns).where(request_keys.c.id == key_id)).one_or_none()
    return KeyedRequest(row.sha256, row.run_id, tuple(row.images)) if row else None


def forget(db: Database, before: datetime) -> None:
    """Delete the keys of requests from before a moment."""
    with db.write() as connection:
        connection.execute(sa.delete(request_keys).where(request_keys.c.created_at < before))
