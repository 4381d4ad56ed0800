"""Reads the photos on which people gave their word."""

from collections.abc import Iterator

import sqlalchemy as sa

from returns_pipeline.records.reviewed_photos import ReviewedPhoto
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import images, review_changes, reviews

_PAGE = 500


def reviewed(db: Database) -> Iterator[ReviewedPhoto]:
    """Yield every image that has a review and was not deleted, by its id, with its newest review."""
    after = 0
    query = (
        sa.select(
            images.c.id,
            images.c.sha256,
            review_changes.c.outcome,
            review_changes.c.label,
            review_changes.c.main_label,
            reviews.c.kind,
            review_changes.c.who,
            review_changes.c.changed_at,
        )
        .select_from(
            images.join(review_changes, review_changes.c.id == images.c.review_id).outerjoin(
                reviews, reviews.c.image_id == images.c.id
            )
        )
        .where(images.c.deleted_at.is_(None), images.c.id > sa.bindparam("after"))
        .order_by(images.c.id)
        .limit(_PAGE)
    )
    while True:
        with db.read() as connection:
            page = connection.execute(query, {"after": after}).all()
        yield from (ReviewedPhoto(*row) for row in page)
        if len(page) < _PAGE:
            return
        after = page[-1].id
