"""Pages of images: filtered, in an order, and as quick for the last page as for the first."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from returns_pipeline.records.images import Filter, ImageState, Picture, Shown
from returns_pipeline.store.database import Database
from returns_pipeline.store.joins import PREDICTION_OF_RUN as ANSWER
from returns_pipeline.store.tables import images, model_versions, predictions, reviews, runs


class Order(StrEnum):
    """How a page's images follow one another."""

    ID = "id"
    DOUBT = "doubt"


#: Where a page ends: the id, and by doubt the probability too.
Cursor = tuple[float | None, int]

_FROM = (
    images.join(runs)
    .outerjoin(predictions, ANSWER)
    .outerjoin(reviews, sa.and_(reviews.c.image_id == images.c.id, reviews.c.reviewed_at.is_not(None)))
)
#: What tells where an image's file lies.
PICTURE = (
    images.c.source_path,
    images.c.archived_path,
    images.c.in_intake,
    images.c.size,
    images.c.width,
    images.c.height,
)
_SHOWN = (
    images.c.id,
    images.c.run_id,
    images.c.source_path,
    images.c.state,
    images.c.code,
    images.c.detail,
    predictions.c.label,
    predictions.c.probability,
    predictions.c.main_label,
    predictions.c.main_probability,
    predictions.c.decision,
    reviews.c.label.label("reviewed_label"),
    reviews.c.reviewer,
)


def page(
    db: Database, wanted: Filter, order: Order, after: Cursor | None, limit: int
) -> tuple[Sequence[Shown], Cursor | None]:
    """Return a page of images after a cursor, newest first or largest doubt first, and the next cursor.

    By doubt only images with an answer are shown.
    """
    query = sa.select(*_SHOWN).select_from(_FROM).where(*_conditions(wanted))
    chance = predictions.c.probability
    if order is Order.ID:
        query = query.order_by(images.c.id.desc())
        if after:
            query = query.where(images.c.id < after[1])
    else:
        query = query.where(chance.is_not(None)).order_by(chance, images.c.id)
        if after:
            query = query.where(
                sa.tuple_(chance, images.c.id)
                > sa.tuple_(sa.literal(after[0], chance.type), sa.literal(after[1], images.c.id.type))
            )
    with db.read() as connection:
        rows = connection.execute(query.limit(limit + 1)).all()
    found = [Shown._make(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return found, None
    last = found[-1]
    return found, (last.probability if order is Order.DOUBT else None, last.id)


def _conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    equal = {
        images.c.run_id: wanted.run_id,
        images.c.state: wanted.state,
        predictions.c.label: wanted.label,
        predictions.c.decision: wanted.decision,
        images.c.code: wanted.code,
    }
    found = [column == value for column, value in equal.items() if value is not None]
    if wanted.least is not None:
        found.append(predictions.c.probability >= wanted.least)
    if wanted.most is not None:
        found.append(predictions.c.probability <= wanted.most)
    return found


def find(db: Database, image_id: int) -> Shown | None:
    """Return one image; None when there is none of this id."""
    query = sa.select(*_SHOWN).select_from(_FROM).where(images.c.id == image_id)
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    return Shown._make(row) if row else None


def picture(db: Database, image_id: int) -> Picture | None:
    """Return where an image's file lies now, and its size; None when none was decoded.

    What has killed a worker, or could not be decoded, is not decoded again for a page.
    """
    query = sa.select(*PICTURE).where(images.c.id == image_id, images.c.state == ImageState.CLASSIFIED)
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    return picture_of(row) if row else None


def picture_of(row: Any) -> Picture:
    """Return where the file of a row with the columns PICTURE lies now."""
    path = row.source_path if row.in_intake or row.archived_path is None else row.archived_path
    return Picture(path, row.size, row.width, row.height)


def answers(db: Database, image_id: int) -> list[dict[str, Any]]:
    """Return what each version of a model said of an image, the newest version first."""
    query = (
        sa.select(
            model_versions.c.name,
            model_versions.c.version,
            predictions.c.label,
            predictions.c.probability,
            predictions.c.main_label,
            predictions.c.main_probability,
            predictions.c.top,
            predictions.c.decision,
        )
        .join_from(predictions, model_versions)
        .where(predictions.c.image_id == image_id)
        .order_by(model_versions.c.id.desc())
    )
    with db.read() as connection:
        return [
            {
                "model": f"{row.name}/{row.version}",
                "label": row.label,
                "probability": row.probability,
                "main_category": row.main_label,
                "main_category_probability": row.main_probability,
                "top": row.top,
                "decision": row.decision,
            }
            for row in connection.execute(query)
        ]
