"""Products that may be recommended: of a kind, by their ids, by the look, and kept by the same customers."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache
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

#: Parameters in hundredths: a price, and the band of prices around it.
_AMOUNTS = ("price", "lowest", "highest")


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
    values: dict[str, Any] = {"category": product.category, "currency": product.currency}
    for name, amount in zip(_AMOUNTS, (product.price, *(band or (None, None))), strict=True):
        values[name] = None if amount is None else round(amount.scaleb(2))
    given = frozenset(name for name, value in values.items() if value is not None)
    with db.read() as connection:
        sides = connection.execute(_sides(most, given), values).all()
        rows = [row_id for _, row_id in sorted(map(tuple, sides))[:most]]
        if len(rows) < most:
            others = connection.execute(_without_comparable_price(product, most))
            rows += sorted(others.scalars())[: most - len(rows)]
    return by_rows(db, rows)


@cache
def _sides(most: int, given: frozenset[str]) -> sa.Select[Any]:
    """Return the query of `most` products on each side of a price: the distance in hundredths, and the id.

    Its parameters are category, currency and _AMOUNTS; those that are not `given` are NULL. To build it takes
    longer than to run it.
    """
    columns, place = products.c, _PLACE
    stored = sa.type_coerce(columns.price, sa.BigInteger)
    price, lowest, highest = (sa.bindparam(name, type_=sa.BigInteger) for name in _AMOUNTS)
    offered = [*_OFFERED]
    for column in (columns.category, columns.currency):
        offered.append(column == sa.bindparam(column.name) if column.name in given else column.is_(None))
    dearer, cheaper = stored >= price, stored < price
    if given >= {*_AMOUNTS}:
        dearer, cheaper = dearer & (stored <= highest), cheaper & (stored >= lowest)
    distance = sa.func.abs(stored - price).label("distance")
    query = sa.select(distance, columns.id)
    sides = (
        query.where(*offered, dearer).order_by(*place, columns.id),
        query.where(*offered, cheaper).order_by(*(each.desc() for each in place), columns.id),
    )
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
        return list(map(Product._make, connection.execute(query).all()))


def looks_of(db: Database, rows: Sequence[int]) -> "dict[int, NDArray[np.float32]]":
    """Return the vector of the first picture of products by row: float32 [dimensions], length 1.

    Only those of the active space; none without one.
    """
    picture, vector, space = product_images.c, product_vectors.c, embedding_spaces.c
    active = sa.select(space.id).where(space.state == SpaceState.ACTIVE).scalar_subquery()
    stored: dict[int, bytes] = {}
    with db.read() as connection:
        for part in bulk.parts(rows):
            # Two statements: SQLite reads a join of both from all vectors of the space.
            pictures = connection.execute(
                sa.select(picture.id, picture.product)
                .where(picture.product.in_(part))
                .order_by(picture.product, picture.position)
            ).all()
            vectors: dict[int, bytes] = {}
            for few in bulk.parts([each.id for each in pictures]):
                these = sa.select(vector.product_image_id, vector.vector).where(
                    vector.space_id == active, vector.product_image_id.in_(few)
                )
                vectors.update(map(tuple, connection.execute(these).all()))
            for image_id, product in pictures:
                if image_id in vectors:
                    stored.setdefault(product, vectors[image_id])
    if not stored:
        return {}
    looks = np.frombuffer(b"".join(stored.values()), np.int8).reshape(len(stored), -1).astype(np.float32)
    lengths = np.linalg.norm(looks, axis=1, keepdims=True)
    return dict(zip(stored, looks / np.where(lengths, lengths, np.float32(1)), strict=True))


def rows_of(db: Database, product_ids: Iterable[str]) -> dict[str, int]:
    """Return the rows of products by their ids of the shop."""
    product = products.c
    found: dict[str, int] = {}
    with db.read() as connection:
        for part in bulk.parts(sorted(product_ids)):
            query = sa.select(product.product_id, product.id).where(product.product_id.in_(part))
            found.update(map(tuple, connection.execute(query).all()))
    return found


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
