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
#: What is sold and, as far as is known, in stock.
_OFFERED = (
    products.c.discontinued_at.is_(None),
    sa.or_(products.c.stock.is_(None), products.c.stock > 0),
)
#: The order of `ix_products_price`. All columns are named, so that PostgreSQL uses it for NULL, too.
_PLACE = (products.c.category, products.c.currency, products.c.price)


def of_category(db: Database, category: str | None, most: int) -> list[Product]:
    """Return products of exactly this category that are offered, the oldest first."""
    product = products.c
    query = sa.select(*COLUMNS).where(product.category == category, *_OFFERED)
    return _made(db, query.order_by(product.id).limit(most))


def below(db: Database, path: str, most: int) -> list[Product]:
    """Return products of the categories below a path that are offered."""
    product = products.c
    query = sa.select(*COLUMNS).where(
        product.category > path + PATH_SEPARATOR, product.category < path + _AFTER_SEPARATOR, *_OFFERED
    )
    return _made(db, query.order_by(product.category, product.id).limit(most))


def next_in_price(
    db: Database, product: Product, most: int, band: tuple[Decimal, Decimal] | None = None
) -> list[Product]:
    """Return the products of the category of one with a price that are offered: those next in price.

    They are in no order. A price in the same currency is within the `band`. Products without a price, and
    those with a price in another currency, are added if there are fewer than `most`.
    """
    with db.read() as connection:
        found = connection.execute(_next_in_price(product, most, band))
        nearest = sorted(found, key=lambda row: (abs(row.price - product.price), row.id))
        rows = [row.id for row in nearest[:most]]
        if len(rows) < most:
            others = connection.execute(_without_comparable_price(product, most))
            rows += sorted(row.id for row in others)[: most - len(rows)]
    return by_rows(db, rows)


def _next_in_price(product: Product, most: int, band: tuple[Decimal, Decimal] | None) -> sa.Select[Any]:
    """Return the query of the ids and prices of `most` products on each side of a price."""
    columns, place = products.c, _PLACE
    dearer, cheaper = columns.price >= product.price, columns.price < product.price
    if band is not None:
        dearer, cheaper = dearer & (columns.price <= band[1]), cheaper & (columns.price >= band[0])
    offered = (columns.category == product.category, columns.currency == product.currency, *_OFFERED)
    sides = [
        sa.select(columns.id, columns.price).where(*offered, dearer).order_by(*place, columns.id),
        sa.select(columns.id, columns.price)
        .where(*offered, cheaper)
        .order_by(*(each.desc() for each in place), columns.id),
    ]
    both = sa.union_all(*(sa.select(side.limit(most).subquery()) for side in sides)).subquery()
    return sa.select(both)


def _without_comparable_price(product: Product, most: int) -> sa.Select[Any]:
    """Return the query of products whose prices are not known or in another currency."""
    columns = products.c
    offered = (columns.category == product.category, *_OFFERED)
    others = [sa.and_(columns.currency == product.currency, columns.price.is_(None))]
    if product.currency is None:
        others.append(columns.currency.is_not(None))
    else:
        others += [columns.currency < product.currency, columns.currency > product.currency]
        others.append(columns.currency.is_(None))
    parts = [
        sa.select(columns.id).where(*offered, each).order_by(*_PLACE, columns.id).limit(most).subquery()
        for each in others
    ]
    return sa.select(sa.union_all(*map(sa.select, parts)).subquery())


def by_ids(db: Database, product_ids: Iterable[str]) -> list[Product]:
    """Return the products that are sold among these ids of the shop."""
    return _among(db, products.c.product_id, sorted(product_ids))


def by_rows(db: Database, rows: Iterable[int]) -> list[Product]:
    """Return the products that are sold among these rows."""
    return _among(db, products.c.id, sorted(rows))


def categories_of(db: Database, product_ids: Sequence[str]) -> dict[str, str | None]:
    """Return the categories of products that are sold, by their ids of the shop."""
    product = products.c
    found: dict[str, str | None] = {}
    with db.read() as connection:
        for part in bulk.parts(product_ids):
            query = sa.select(product.product_id, product.category).where(
                product.product_id.in_(part), product.discontinued_at.is_(None)
            )
            found.update((row.product_id, row.category) for row in connection.execute(query))
    return found


def _among(db: Database, column: sa.Column[Any], values: Sequence[Any]) -> list[Product]:
    found: list[Product] = []
    for part in bulk.parts(values):
        query = sa.select(*COLUMNS).where(column.in_(part), products.c.discontinued_at.is_(None))
        found += _made(db, query)
    return found


def _made(db: Database, query: sa.Select[Any]) -> list[Product]:
    with db.read() as connection:
        return [Product._make(row) for row in connection.execute(query)]


def looks_of(db: Database, rows: Sequence[int]) -> "dict[int, NDArray[np.float32]]":
    """Return the vector of the first picture of products by row: float32 [dimensions], length 1.

    Only those of the active space; none without one.
    """
    return _looks(db, product_images.c.product, rows)


def looks_of_ids(db: Database, product_ids: Sequence[str]) -> "dict[str, NDArray[np.float32]]":
    """Return what `looks_of` does, by the ids of the shop."""
    return _looks(db, products.c.product_id, product_ids)


def _looks(db: Database, key: sa.Column[Any], values: Sequence[Any]) -> "dict[Any, NDArray[np.float32]]":
    picture, vector, space = product_images.c, product_vectors.c, embedding_spaces.c
    active = sa.select(space.id).where(space.state == SpaceState.ACTIVE).scalar_subquery()
    joined = product_images.join(product_vectors, vector.product_image_id == picture.id)
    if key.table is products:
        joined = joined.join(products, products.c.id == picture.product)
    stored: dict[Any, bytes] = {}
    with db.read() as connection:
        for part in bulk.parts(values):
            query = (
                sa.select(key, vector.vector)
                .select_from(joined)
                .where(vector.space_id == active, key.in_(part))
                .order_by(picture.product, picture.position)
            )
            for each, look in connection.execute(query):
                stored.setdefault(each, look)
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
