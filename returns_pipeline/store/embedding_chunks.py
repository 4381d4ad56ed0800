"""Chunks of pictures to embed: planned, claimed with a lease, and stored in one transaction."""

import uuid
from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa

from returns_pipeline.errors import PipelineError
from returns_pipeline.records.catalogue import PictureState, SpaceState
from returns_pipeline.records.embedding import EmbeddedPicture, EmbeddingClaim, PictureToEmbed
from returns_pipeline.store import bulk, product_comparisons, spaces
from returns_pipeline.store.clocks import has_ended, is_past
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import (
    embedding_chunks,
    embedding_spaces,
    product_images,
    product_vectors,
)

_chunk, _image = embedding_chunks.c, product_images.c
_FREE = {"lease_owner": None, "lease_token": None, "lease_until": None}


class LeaseLostError(PipelineError):
    """Another process has claimed the chunk meanwhile. Its results count; this process drops its own."""


def plan(db: Database, space_id: int, size: int, *, every: bool = False) -> list[int]:
    """Make chunks of the pictures that have no vector in a space; return the ids of all its open chunks.

    With `every`, pictures that have a vector are planned too: their files may have changed. While a space has
    open chunks, nothing else is planned for it.
    """
    with db.write() as connection:
        # Two processes that plan the same space follow each other.
        connection.execute(
            sa.select(embedding_spaces.c.id).where(embedding_spaces.c.id == space_id).with_for_update()
        )
        known = list(connection.scalars(sa.select(_chunk.id).where(_chunk.space_id == space_id)))
        if known:
            return known
        wanted = _of_files() if every else _waiting(space_id)
        ids = connection.scalars(sa.select(_image.id).where(wanted).order_by(_image.id)).all()
        now = utc_now()
        parts = [ids[start : start + size] for start in range(0, len(ids), size)]
        rows = [
            {"space_id": space_id, "first_image": part[0], "last_image": part[-1], "sent_at": now}
            for part in parts
        ]
        if rows:
            connection.execute(sa.insert(embedding_chunks), rows)
        return list(connection.scalars(sa.select(_chunk.id).where(_chunk.space_id == space_id)))


def plan_none(db: Database, space_id: int) -> int | None:
    """Make a chunk without a picture, after which a worker writes the index; None if a chunk is open."""
    with db.write() as connection:
        connection.execute(
            sa.select(embedding_spaces.c.id).where(embedding_spaces.c.id == space_id).with_for_update()
        )
        if connection.execute(sa.select(_chunk.id).where(_chunk.space_id == space_id).limit(1)).first():
            return None
        values = {"space_id": space_id, "first_image": 0, "last_image": 0, "sent_at": utc_now()}
        return int(
            connection.execute(sa.insert(embedding_chunks).values(values).returning(_chunk.id)).scalar_one()
        )


def is_work_waiting(db: Database) -> bool:
    """Whether a picture is new and no chunk is open."""
    is_new = sa.and_(_image.state == PictureState.NEW, _image.folder.is_not(None))
    query = sa.select(sa.exists().where(is_new) & ~sa.exists().where(_chunk.id.is_not(None)))
    with db.read() as connection:
        return bool(connection.execute(query).scalar())


def _of_files() -> sa.ColumnElement[bool]:
    return sa.and_(_image.folder.is_not(None), _image.state != PictureState.UNUSABLE)


def _waiting(space_id: int) -> sa.ColumnElement[bool]:
    has_vector = sa.exists().where(
        product_vectors.c.product_image_id == _image.id, product_vectors.c.space_id == space_id
    )
    is_waiting = sa.or_(_image.state == PictureState.NEW, sa.not_(has_vector))
    return sa.and_(_of_files(), is_waiting)


def claim(db: Database, chunk_id: int, owner: str, lease_seconds: float) -> EmbeddingClaim | None:
    """Claim a chunk for the message `owner`; None if it is done or another message holds it."""
    now, token = utc_now(), uuid.uuid4().hex
    is_free = sa.or_(
        _chunk.lease_until.is_(None),
        has_ended(_chunk.lease_until, now, lease_seconds),
        _chunk.lease_owner == owner,
    )
    with db.write() as connection:
        row = connection.execute(
            sa.update(embedding_chunks)
            .where(_chunk.id == chunk_id, is_free)
            .values(
                attempts=_chunk.attempts + 1,
                lease_owner=owner,
                lease_token=token,
                lease_until=now + timedelta(seconds=lease_seconds),
            )
            .returning(_chunk.space_id, _chunk.first_image, _chunk.last_image, _chunk.attempts)
        ).one_or_none()
        if row is None:
            return None
        space = spaces.find(connection, row.space_id)
        vector = product_vectors.alias()
        joined = product_images.outerjoin(
            vector, sa.and_(vector.c.product_image_id == _image.id, vector.c.space_id == row.space_id)
        )
        query = (
            sa.select(_image.id, _image.folder, _image.address, _image.sha256, vector.c.space_id)
            .select_from(joined)
            .where(_image.id.between(row.first_image, row.last_image), _of_files())
            .order_by(_image.id)
        )
        pictures = tuple(
            PictureToEmbed(image_id, folder, address, sha256 if has_vector else None)
            for image_id, folder, address, sha256, has_vector in connection.execute(query)
        )
        return EmbeddingClaim(chunk_id, token, row.attempts, space, pictures)


def renew(db: Database, held: EmbeddingClaim, lease_seconds: float) -> None:
    """Extend a lease. Raises LeaseLostError if another process has the chunk."""
    with db.write() as connection:
        _require_lease(connection, held, {"lease_until": utc_now() + timedelta(seconds=lease_seconds)})


def release(db: Database, held: EmbeddingClaim, *, counts: bool) -> None:
    """Give a chunk back; the attempt `counts` if the pictures may have caused the fault."""
    attempts = held.attempt if counts else held.attempt - 1
    with db.write() as connection:
        connection.execute(
            sa.update(embedding_chunks).where(*_is_held(held)).values(**_FREE, attempts=attempts)
        )


def split(db: Database, held: EmbeddingClaim) -> list[int]:
    """Split a chunk into halves that no message holds; return the ids of both.

    Raises LeaseLostError if another process has the chunk.
    """
    middle = held.pictures[len(held.pictures) // 2].id
    with db.write() as connection:
        last = connection.execute(
            sa.select(_chunk.last_image).where(*_is_held(held)).with_for_update()
        ).scalar()
        _require_lease(connection, held, {**_FREE, "attempts": 0, "last_image": middle - 1})
        values = {"space_id": held.space.id, "first_image": middle, "last_image": last, "sent_at": utc_now()}
        other = connection.execute(sa.insert(embedding_chunks).values(values).returning(_chunk.id))
        return [held.chunk_id, int(other.scalar_one())]


def store(db: Database, held: EmbeddingClaim, results: Sequence[EmbeddedPicture]) -> None:
    """Write the results of a chunk and end it. Raises LeaseLostError if another process has it.

    The result of a picture that has another place by now, or is gone, is dropped.
    """
    with db.write() as connection:
        done = connection.execute(sa.delete(embedding_chunks).where(*_is_held(held)))
        if not done.rowcount:
            raise LeaseLostError("Another process has claimed this chunk of pictures.")
        kept = _unmoved(connection, results)
        changed = [each for each in kept if each.vector is not None or each.reason is not None]
        vectors = product_vectors.c
        for part in bulk.parts([each.id for each in changed]):
            connection.execute(
                sa.delete(product_vectors).where(
                    vectors.space_id == held.space.id, vectors.product_image_id.in_(part)
                )
            )
        columns = ("space_id", "product_image_id", "vector")
        rows: list[bulk.Row] = [(held.space.id, each.id, each.vector) for each in changed if each.vector]
        bulk.insert(connection, product_vectors, columns, rows)
        states: list[bulk.Row] = [
            (
                str(PictureState.UNUSABLE if each.reason else PictureState.EMBEDDED),
                each.sha256,
                each.reason,
                each.id,
            )
            for each in kept
        ]
        bulk.update(connection, product_images, ("state", "sha256", "reason", "id"), states)
        if changed:
            spaces.raise_revision(connection, held.space.id)
            if spaces.find(connection, held.space.id).state is SpaceState.ACTIVE:
                product_comparisons.queue_of_pictures(connection, [each.id for each in changed])


def _unmoved(connection: sa.Connection, results: Sequence[EmbeddedPicture]) -> list[EmbeddedPicture]:
    """Return the results of pictures that are where they were read, and lock their rows."""
    places: dict[int, tuple[str, str]] = {}
    for part in bulk.parts([each.id for each in results]):
        query = sa.select(_image.id, _image.folder, _image.address).where(_image.id.in_(part))
        for image_id, folder, address in connection.execute(query.order_by(_image.id).with_for_update()):
            places[image_id] = folder, address
    return [each for each in results if places.get(each.id) == (each.folder, each.address)]


def to_send_again(db: Database, lease_seconds: float, seconds: float, most: int) -> list[int]:
    """Return chunks that no process works on, whose message is older than `seconds`, and mark them sent."""
    now = utc_now()
    is_free = sa.or_(_chunk.lease_until.is_(None), has_ended(_chunk.lease_until, now, lease_seconds))
    with db.write() as connection:
        query = sa.select(_chunk.id).where(is_free, is_past(_chunk.sent_at, now, seconds)).limit(most)
        ids = list(connection.scalars(query.order_by(_chunk.id)))
        for part in bulk.parts(ids):
            connection.execute(sa.update(embedding_chunks).where(_chunk.id.in_(part)).values(sent_at=now))
    return ids


def count(db: Database, space_id: int) -> int:
    """Return how many chunks of a space are open."""
    query = sa.select(sa.func.count()).where(_chunk.space_id == space_id)
    with db.read() as connection:
        return int(connection.execute(query).scalar_one())


def _is_held(held: EmbeddingClaim) -> tuple[sa.ColumnElement[bool], ...]:
    return _chunk.id == held.chunk_id, _chunk.lease_token == held.token


def _require_lease(connection: sa.Connection, held: EmbeddingClaim, values: dict[str, object]) -> None:
    done = connection.execute(sa.update(embedding_chunks).where(*_is_held(held)).values(values))
    if not done.rowcount:
        raise LeaseLostError("Another process has claimed this chunk of pictures.")
