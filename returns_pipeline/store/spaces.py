"""Embedding spaces: one is active, a new one is built beside it and takes its place when it is whole."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from returns_pipeline.errors import ConfigFault, NotFoundError
from returns_pipeline.records.catalogue import PictureState, ProductFilter, SpaceState
from returns_pipeline.records.embedding import SpaceRow
from returns_pipeline.records.models import ModelRef
from returns_pipeline.store import bulk, product_comparisons, products
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import (
    embedding_chunks,
    embedding_spaces,
    photo_looks,
    product_images,
    product_vectors,
)

_space, _image = embedding_spaces.c, product_images.c
#: Vectors that are read together.
_TOGETHER = 10_000
_COLUMNS = tuple(_space[name] for name in SpaceRow._fields)


def find(connection: sa.Connection, space_id: int) -> SpaceRow:
    """Return a space. Raises NotFoundError if there is none with this id."""
    row = connection.execute(sa.select(*_COLUMNS).where(_space.id == space_id)).one_or_none()
    if row is None:
        raise NotFoundError("There is no embedding space {space}.", space=space_id)
    return _made(row)


def active(db: Database) -> SpaceRow | None:
    """Return the space in which products are searched; None before the first one is whole."""
    with db.read() as connection:
        query = sa.select(*_COLUMNS).where(_space.state == SpaceState.ACTIVE)
        row = connection.execute(query).one_or_none()
    return _made(row) if row else None


def open_space(db: Database, ref: ModelRef, digest: str, dimensions: int, metric: str) -> SpaceRow:
    """Return the row of a space on disk; a new or a retired one is `building` from now on.

    Raises ConfigFault if the row names another digest: the folder was changed without a new version.
    """
    is_this = sa.and_(_space.name == ref.name, _space.version == ref.version)
    with db.write() as connection:
        connection.execute(
            db.insert(embedding_spaces)
            .values(
                name=ref.name,
                version=ref.version,
                digest=digest,
                dimensions=dimensions,
                metric=metric,
                state=SpaceState.BUILDING,
                created_at=utc_now(),
            )
            .on_conflict_do_nothing(index_elements=["name", "version"])
        )
        connection.execute(
            sa.update(embedding_spaces)
            .where(is_this, _space.state == SpaceState.RETIRED)
            .values(state=SpaceState.BUILDING)
        )
        row = _made(connection.execute(sa.select(*_COLUMNS).where(is_this)).one())
    if row.digest != digest:
        raise ConfigFault(
            "The embedding space {space} is not the one that the stored vectors are of.",
            "Restore its folder, or give a changed one a new version.",
            space=ref,
        )
    return row


def raise_revision(connection: sa.Connection, space_id: int) -> None:
    """Make the indexes of a space stale."""
    connection.execute(
        sa.update(embedding_spaces).where(_space.id == space_id).values(revision=_space.revision + 1)
    )


def swap_if_whole(db: Database, space_id: int) -> bool:
    """Make a space the active one if each usable picture has its vector in it; return whether it was.

    The space that was active before is retired and its vectors are removed, in the same transaction, and the
    newest returns are compared with their products again.
    """
    has_vector = sa.exists().where(
        product_vectors.c.product_image_id == _image.id, product_vectors.c.space_id == space_id
    )
    lacking = sa.exists().where(
        _image.folder.is_not(None), _image.state != PictureState.UNUSABLE, sa.not_(has_vector)
    )
    open_chunks = sa.exists().where(embedding_chunks.c.space_id == space_id)
    this = sa.and_(_space.id == space_id, _space.state == SpaceState.BUILDING)
    with db.write() as connection:
        row = connection.execute(sa.select(_space.id).where(this).with_for_update()).one_or_none()
        if row is None or connection.execute(sa.select(sa.or_(open_chunks, lacking))).scalar():
            return False
        old = list(connection.scalars(sa.select(_space.id).where(_space.id != space_id)))
        for part in bulk.parts(old):
            connection.execute(
                sa.update(embedding_spaces).where(_space.id.in_(part)).values(state=SpaceState.RETIRED)
            )
            for table in (product_vectors, embedding_chunks, photo_looks):
                connection.execute(sa.delete(table).where(table.c.space_id.in_(part)))
        connection.execute(sa.update(embedding_spaces).where(this).values(state=SpaceState.ACTIVE))
        product_comparisons.queue_newest(connection)
    return True


def count(db: Database, space_id: int) -> int:
    """Return how many vectors a space has."""
    query = sa.select(sa.func.count()).where(product_vectors.c.space_id == space_id)
    with db.read() as connection:
        return int(connection.execute(query).scalar_one())


def has(db: Database, space_id: int, least: int) -> bool:
    """Whether a space has at least so many vectors. Faster than `count` if it has many more."""
    query = sa.select(sa.true()).where(product_vectors.c.space_id == space_id).offset(least - 1).limit(1)
    with db.read() as connection:
        return connection.execute(query).first() is not None


def vectors(db: Database, space_id: int, wanted: ProductFilter | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield the ids of the pictures that have a vector in a space, ascending, with their vectors.

    With `wanted`, those of the products that a filter chooses. They are read in parts: a million may not be
    in memory as objects.
    """
    vector = product_vectors.c
    query = sa.select(vector.product_image_id, vector.vector).where(vector.space_id == space_id)
    if wanted is not None:
        joined = product_vectors.join(product_images, vector.product_image_id == _image.id)
        query = query.select_from(joined).where(_image.product.in_(products.found(wanted)))
    with db.read(in_parts=True) as connection:
        ordered = query.order_by(vector.product_image_id).execution_options(yield_per=_TOGETHER)
        for row in connection.execute(ordered):
            yield row.product_image_id, row.vector


def products_of(db: Database, image_ids: Sequence[int], wanted: ProductFilter) -> dict[int, int]:
    """Return the product of each picture that still exists and whose product a filter chooses."""
    found: dict[int, int] = {}
    with db.read() as connection:
        for part in bulk.parts(image_ids):
            query = sa.select(_image.id, _image.product).where(_image.id.in_(part))
            if wanted != ProductFilter():
                query = query.where(_image.product.in_(products.found(wanted)))
            found.update(map(tuple, connection.execute(query).all()))
    return found


def is_any_active(connection: sa.Connection) -> bool:
    """Whether products can be compared."""
    query = sa.select(_space.id).where(_space.state == SpaceState.ACTIVE)
    return connection.execute(query).first() is not None


def vectors_of(db: Database, space_id: int, product: int) -> list[tuple[int, bytes]]:
    """Return the pictures of a product that have a vector in a space, in their order, with the vectors."""
    joined = product_images.join(product_vectors, product_vectors.c.product_image_id == _image.id)
    query = (
        sa.select(_image.id, product_vectors.c.vector)
        .select_from(joined)
        .where(_image.product == product, product_vectors.c.space_id == space_id)
        .order_by(_image.position)
    )
    with db.read() as connection:
        return [(row.id, row.vector) for row in connection.execute(query)]


def vectors_of_pictures(db: Database, space_id: int, picture_ids: Sequence[int]) -> dict[int, bytes]:
    """Return the vectors of pictures that have one in a space, by picture."""
    vector = product_vectors.c
    query = sa.select(vector.product_image_id, vector.vector).where(vector.space_id == space_id)
    found: dict[int, bytes] = {}
    with db.read() as connection:
        for part in bulk.parts(picture_ids):
            rows = connection.execute(query.where(vector.product_image_id.in_(part)))
            found.update((row.product_image_id, row.vector) for row in rows)
    return found


def vector_of(db: Database, space_id: int, product: int) -> bytes | None:
    """Return the vector of a product's first picture that has one; None if it has none."""
    found = vectors_of(db, space_id, product)
    return found[0][1] if found else None


def _made(row: "sa.Row[Any]") -> SpaceRow:
    made = SpaceRow._make(row)
    return made._replace(state=SpaceState(made.state))
