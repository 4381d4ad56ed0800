"""Removes products from the catalogue for good, with their pictures, vectors, words and neighbours.

Returns and events name a product by the shop's id, so they stay. The files of pictures are the shop's.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.store import (
    audit,
    bulk,
    product_comparisons,
    product_words,
    product_writing,
    removed_products,
    spaces,
)
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import product_images, product_neighbours, product_vectors, products

#: Products that one transaction removes.
TOGETHER = 500


def known(db: Database, product_ids: Sequence[str]) -> dict[str, bool]:
    """Return which of these ids are products of the catalogue, and whether each is on sale."""
    found: dict[str, bool] = {}
    product = products.c
    with db.read() as connection:
        for part in bulk.parts(product_ids):
            query = sa.select(product.product_id, product.discontinued_at).where(product.product_id.in_(part))
            found.update((row.product_id, row.discontinued_at is None) for row in connection.execute(query))
    return found


def remove(db: Database, product_ids: Sequence[str], who: str) -> int:
    """Remove up to TOGETHER products in one transaction; return how many were in the catalogue."""
    return _remove(db, products.c.product_id.in_(product_ids), who)


def remove_discontinued(db: Database, who: str) -> int:
    """Remove up to TOGETHER products that are not on sale in one transaction; return how many these were."""
    return _remove(db, products.c.discontinued_at.is_not(None), who)


def _remove(db: Database, condition: sa.ColumnElement[bool], who: str) -> int:
    query = sa.select(products.c.id, products.c.product_id).where(condition)
    with db.write(lasting=True) as connection:
        product_writing.lock(connection)
        found = connection.execute(query.order_by(products.c.id).limit(TOGETHER)).all()
        if not found:
            return 0
        rows, product_ids = [row.id for row in found], [row.product_id for row in found]
        these = products.c.id.in_(rows)
        product_comparisons.queue_of_products(connection, these)
        product_comparisons.queue_of_found(connection, product_ids)
        _remove_pictures(connection, rows)
        product_words.remove(connection, rows)
        neighbour = product_neighbours.c
        named = neighbour.product.in_(product_ids) | neighbour.neighbour.in_(product_ids)
        connection.execute(sa.delete(product_neighbours).where(named))
        connection.execute(sa.delete(products).where(these))
        removed_products.note(connection, product_ids, who)
        detail = {"products": len(rows)} if len(rows) > 1 else {}
        audit.record(
            connection, who, AuditAction.PRODUCT_REMOVE, AuditSubject.PRODUCT, product_ids[0], **detail
        )
    return len(rows)


def _remove_pictures(connection: sa.Connection, rows: Sequence[int]) -> None:
    """Remove the pictures of products with their vectors; indexes of older vectors are stale then."""
    image, vector = product_images.c, product_vectors.c
    # Waits for a worker that stores their vectors now: each refers to the picture.
    query = sa.select(image.id).where(image.product.in_(rows)).order_by(image.id).with_for_update()
    pictures = connection.execute(query).scalars().all()
    changed: set[int] = set()
    for part in bulk.parts(pictures):
        gone = sa.delete(product_vectors).where(vector.product_image_id.in_(part)).returning(vector.space_id)
        changed.update(connection.execute(gone).scalars())
        connection.execute(sa.delete(product_images).where(image.id.in_(part)))
    for space_id in sorted(changed):
        spaces.raise_revision(connection, space_id)
