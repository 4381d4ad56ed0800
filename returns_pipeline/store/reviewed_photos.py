"""Reads the photos on which people gave their word."""

from collections.abc import Iterator

import sqlalchemy as sa

from returns_pipeline.records.predictions import Decision
from returns_pipeline.records.reviewed_photos import ReviewedPhoto
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import (
    images,
    model_versions,
    predictions,
    review_changes,
    reviews,
    runs,
)

_PAGE = 500


def reviewed(db: Database, model: str | None = None) -> Iterator[ReviewedPhoto]:
    """Yield every image that has a review and was not deleted, by its id, with its newest review.

    With the name of a `model`, only the images of its runs.
    """
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
    if model is not None:
        query = query.where(images.c.run_id.in_(_runs_of(model)))
    while True:
        with db.read() as connection:
            page = connection.execute(query, {"after": after}).all()
        yield from (ReviewedPhoto(*row) for row in page)
        if len(page) < _PAGE:
            return
        after = page[-1].id


def unreviewed(db: Database, model: str, most: int) -> list[int]:
    """Return the newest images with a sure prediction of a model that no person reviewed, newest first."""
    prediction = sa.and_(
        predictions.c.image_id == images.c.id,
        predictions.c.model_version_id == runs.c.model_version_id,
        predictions.c.decision == Decision.AUTO,
    )
    query = (
        sa.select(images.c.id)
        .select_from(images.join(runs, runs.c.id == images.c.run_id).join(predictions, prediction))
        .where(
            images.c.run_id.in_(_runs_of(model)),
            images.c.review_id.is_(None),
            images.c.deleted_at.is_(None),
            images.c.photo_removed_at.is_(None),
        )
        .order_by(images.c.id.desc())
        .limit(most)
    )
    with db.read() as connection:
        return list(connection.scalars(query))


def _runs_of(model: str) -> sa.Select[tuple[int]]:
    versions = sa.select(model_versions.c.id).where(model_versions.c.name == model)
    return sa.select(runs.c.id).where(runs.c.model_version_id.in_(versions))
