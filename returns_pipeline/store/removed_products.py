"""Products that a person has removed: who did it and when. Returns and events may still name them."""

import json
from collections.abc import Sequence

import sqlalchemy as sa

from returns_pipeline.records.catalogue import RemovedProduct
from returns_pipeline.store import bulk
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import removed_products

_COLUMNS = tuple(removed_products.c[name] for name in RemovedProduct._fields)


def find(db: Database, product_id: str) -> RemovedProduct | None:
    """Return who removed the product with this id of the shop; None if it was not removed."""
    query = sa.select(*_COLUMNS).where(removed_products.c.product_id == product_id)
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    return RemovedProduct._make(row) if row else None


def ids(db: Database) -> frozenset[str]:
    """Return the shop's ids of all removed products."""
    with db.read() as connection:
        return frozenset(connection.execute(sa.select(removed_products.c.product_id)).scalars())


def note(connection: sa.Connection, product_ids: Sequence[str], who: str) -> None:
    """Record that products are removed, within the transaction that removes them."""
    forget(connection, product_ids)
    now = bulk.moment(connection, utc_now())
    rows: list[bulk.Row] = [(each, now, who[:100]) for each in product_ids]
    bulk.add(connection, removed_products, RemovedProduct._fields, rows)


def forget(connection: sa.Connection, product_ids: Sequence[str]) -> None:
    """Forget that products were removed, within the transaction that adds them again. One statement."""
    if connection.dialect.name == "sqlite":
        listed = json.dumps(product_ids, ensure_ascii=False)
        delete = "DELETE FROM removed_products WHERE product_id IN (SELECT value FROM json_each(?))"
        connection.exec_driver_sql(delete, (listed,))
    else:
        delete = "DELETE FROM removed_products WHERE product_id = ANY(%s)"
        connection.exec_driver_sql(delete, (list(product_ids),))
