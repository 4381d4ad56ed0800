"""Products that may be recommended: of a kind, by their ids, by the look, and kept by the same customers."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from returns_pipeline.records.catalogue import PATH_SEPARATOR, Product, SpaceState
from returns_pipeline.store import bulk
from returns_pipeline.store.database import Database
from returns_pipeline.store.products import COLUMNS
from returns_pipeline.store.tables import (
    embedding_spaces,
    product_images,
    product_neighbours,
    product_vectors,
    products,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The character after PATH_SEPARATOR: the paths below a path lie between both.
_AFTER_SEPARATOR = chr(ord(PATH_SEPARATOR) + 1)


def of_category(
    db: Database,
    category: str | None,
    most: int,
    *,
    price: Decimal | None = None,
    band: tuple[Decimal, Decimal] | None = None,
    currency: str | None = None,
    only_available: bool = False,
) -> list[Product]:
    """Return the products of exactly this category that are sold; of more than `most`, those next in price.

    They are in no order. With a `band`, the price in this currency is unknown or within it.
    """
    product = products.c
    query = sa.select(product.id).where(product.category == category, product.discontinued_at.is_(None))
    if only_available:
        query = query.where(sa.or_(product.stock.is_(None), product.stock > 0))
    comparable = product.currency.is_not_distinct_from(currency)
    if band is not None:
        query = query.where(sa.or_(product.price.is_(None), ~comparable, product.price.between(*band)))
    if price is not None:
        distance = sa.func.abs(sa.type_coerce(product.price, sa.BigInteger) - int(price.scaleb(2)))
        query = query.order_by(sa.case((comparable, distance)).nulls_last())
    query = query.order_by(product.id).limit(most)
    return _made(db, query)


def below(db: Database, path: str, most: int) -> list[Product]:
    """Return products of the categories below a path that are sold."""
    product = products.c
    query = sa.select(product.id).where(
        product.category > path + PATH_SEPARATOR,
        product.category < path + _AFTER_SEPARATOR,
        product.discontinued_at.is_(None),
    )
    return _made(db, query.order_by(product.category, product.id).limit(most))


def by_ids(db: Database, product_ids: Iterable[str]) -> list[Product]:
    """Return the products that are sold among these ids of the shop."""
    product = products.c
    found: list[Product] = []
    with db.read() as connection:
        for part in bulk.parts(sorted(product_ids)):
            query = sa.select(*COLUMNS).where(product.product_id.in_(part), product.discontinued_at.is_(None))
            found += [Product._make(row) for row in connection.execute(query)]
    return found


def _made(db: Database, ids: sa.Select[Any]) -> list[Product]:
    """Return whole products, in no order: descriptions and attributes are read of the chosen ones alone."""
    chosen = ids.subquery()
    query = sa.select(*COLUMNS).join_from(chosen, products, products.c.id == chosen.c.id)
    with db.read() as connection:
        return [Product._make(row) for row in connection.execute(query)]


def looks_of(db: Database, rows: Sequence[int]) -> "dict[int, NDArray[np.float32]]":
    """Return the vector of the first picture of products by row: float32 [dimensions], length 1.

    Only those of the active space; none without one.
    """
    picture, vector, space = product_images.c, product_vectors.c, embedding_spaces.c
    active = sa.select(space.id).where(space.state == SpaceState.ACTIVE).scalar_subquery()
    stored: dict[int, bytes] = {}
    with db.read() as connection:
        for part in bulk.parts(rows):
            query = (
                sa.select(picture.product, vector.vector)
                .join_from(product_images, product_vectors, vector.product_image_id == picture.id)
                .where(vector.space_id == active, picture.product.in_(part))
                .order_by(picture.product, picture.position)
            )
            for product, look in connection.execute(query):
                stored.setdefault(product, look)
    if not stored:
        return {}
    looks = np.frombuffer(b"".join(stored.values()), np.int8).reshape(len(stored), -1).astype(np.float32)
    lengths = np.linalg.norm(looks, axis=1, keepdims=True)
    return dict(zip(stored, looks / np.where(lengths, lengths, np.float32(1)), strict=True))


def neighbours_of(db: Database, product_ids: Sequence[str]) -> dict[str, Mapping[str, float]]:
    """Return the products that the same customers kept, with their similarity, of each product."""
    columns = product_neighbours.c
    found: dict[str, dict[str, float]] = defaultdict(dict)
    with db.read() as connection:
        for part in bulk.parts(product_ids):
            query = sa.select(columns.product, columns.neighbour, columns.similarity)
            for product, neighbour, similarity in connection.execute(query.where(columns.product.in_(part))):
                found[product][neighbour] = similarity
    return dict(found)


def replace_neighbours(db: Database, found: Mapping[str, Mapping[str, float]]) -> int:
    """Replace all neighbours in one transaction; return how many products have some."""
    rows: list[bulk.Row] = [
        (product, other, similarity)
        for product, others in found.items()
        for other, similarity in others.items()
    ]
    with db.write() as connection:
        connection.execute(sa.delete(product_neighbours))
        bulk.insert(connection, product_neighbours, ("product", "neighbour", "similarity"), rows)
    return len(found)
