"""Products: one by its id, and lists of them. Each list is in the order of the rows, the newest first."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from returns_pipeline.records.catalogue import (
    PATH_SEPARATOR,
    Product,
    ProductFilter,
    ProductPage,
    ProductState,
)
from returns_pipeline.store import bulk, product_words
from returns_pipeline.store.database import Database
from returns_pipeline.store.search_words import distinct
from returns_pipeline.store.tables import products

#: The columns of a `Product`, in the order of its fields.
COLUMNS = tuple(products.c[name] for name in Product._fields)
#: A total is counted up to this number.
MOST_COUNTED = 10_000
#: The character after PATH_SEPARATOR: the paths below a path lie between both.
_AFTER_SEPARATOR = chr(ord(PATH_SEPARATOR) + 1)


def find(db: Database, product_id: str) -> Product | None:
    """Return the product with this id of the shop, or None."""
    with db.read() as connection:
        query = sa.select(*COLUMNS).where(products.c.product_id == product_id)
        row = connection.execute(query).one_or_none()
    return Product._make(row) if row else None


def page(
    db: Database, wanted: ProductFilter, place: int | None, limit: int, *, backwards: bool = False
) -> ProductPage:
    """Return the products behind a row of a list; with `backwards` those before it."""
    row_id = products.c.id
    query = found(wanted)
    if place is not None:
        query = query.where(row_id > place if backwards else row_id < place)
    query = query.order_by(row_id if backwards else row_id.desc()).limit(limit + 1)
    with db.read() as connection:
        ids = list(connection.scalars(query))
        has_more = len(ids) > limit
        ids = sorted(ids[:limit], reverse=True)
        rows = connection.execute(sa.select(*COLUMNS).where(row_id.in_(ids)).order_by(row_id.desc()))
        made = [Product._make(row) for row in rows]
    if not made:
        return ProductPage([], None, None)
    earlier, later = (has_more, place is not None) if backwards else (place is not None, has_more)
    return ProductPage(made, ids[0] if earlier else None, ids[-1] if later else None)


def count(db: Database, wanted: ProductFilter) -> tuple[int, bool]:
    """Return how many products a list has, counted up to MOST_COUNTED, and whether there are more."""
    some = found(wanted).limit(MOST_COUNTED + 1).subquery()
    with db.read() as connection:
        total = int(connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one())
    return min(total, MOST_COUNTED), total > MOST_COUNTED


def found(wanted: ProductFilter) -> sa.Select[Any]:
    """Return the query of the rows that a filter chooses, unordered."""
    product = products.c
    query = sa.select(product.id)
    if wanted.q:
        query = query.where(*product_words.having(wanted.q, product.id))
    if wanted.category:
        path = wanted.category.strip(PATH_SEPARATOR)
        below = sa.and_(product.category > path + PATH_SEPARATOR, product.category < path + _AFTER_SEPARATOR)
        query = query.where(sa.or_(product.category == path, below))
    if wanted.brand:
        query = query.where(product.brand == wanted.brand)
    if wanted.state == ProductState.LISTED:
        query = query.where(product.discontinued_at.is_(None))
    elif wanted.state == ProductState.DISCONTINUED:
        query = query.where(product.discontinued_at.is_not(None))
    if wanted.lowest is not None:
        query = query.where(product.price >= wanted.lowest)
    if wanted.highest is not None:
        query = query.where(product.price <= wanted.highest)
    if wanted.available:
        is_in_stock = sa.or_(product.stock.is_(None), product.stock > 0)
        query = query.where(product.discontinued_at.is_(None), is_in_stock)
    return query


def by_rows(db: Database, rows: Sequence[int]) -> dict[int, Product]:
    """Return products by the ids of their rows."""
    found: dict[int, Product] = {}
    with db.read() as connection:
        for part in bulk.parts(rows):
            for row in connection.execute(sa.select(*COLUMNS).where(products.c.id.in_(part))):
                found[row.id] = Product._make(row)
    return found


def is_empty(db: Database) -> bool:
    """Whether the catalogue has no product at all."""
    with db.read() as connection:
        return connection.execute(sa.select(products.c.id).limit(1)).first() is None


def brands(db: Database) -> list[str]:
    """Return the brands that products have, sorted."""
    return distinct(db, products.c.brand)


def categories(db: Database) -> list[str]:
    """Return the paths that products have and the paths above these, sorted."""
    known = set()
    for path in distinct(db, products.c.category):
        parts = path.split(PATH_SEPARATOR)
        known |= {PATH_SEPARATOR.join(parts[: depth + 1]) for depth in range(len(parts))}
    return sorted(known)
