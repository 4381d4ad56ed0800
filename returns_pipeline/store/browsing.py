"""Pages of images: filtered and ordered by an index, so that the last page is as quick as the first."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa

from returns_pipeline.errors import FaultCode
from returns_pipeline.records.images import Filter, ImageResult, ImageState, Picture
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.predictions import StoredPrediction
from returns_pipeline.store.database import Database
from returns_pipeline.store.images import RESULT_COLUMNS, REVIEW_OF_IMAGE
from returns_pipeline.store.joins import PREDICTION_OF_RUN
from returns_pipeline.store.tables import (
    UNFAMILIAR,
    chunks,
    images,
    model_versions,
    predictions,
    review_changes,
    runs,
)


class Order(StrEnum):
    """The order of a page's images: newest or oldest first, least or most probable first, by name."""

    ID = "id"
    OLDEST = "oldest"
    DOUBT = "doubt"
    SURE = "sure"
    NAME = "name"

    @property
    def is_of_ids(self) -> bool:
        """Whether it is the order of ids, or its reverse."""
        return self in {Order.ID, Order.OLDEST}


#: The orders of `page`, each with its reverse. No index has the names of a run in their order.
REVERSED: Mapping[Order, Order] = {
    Order.ID: Order.OLDEST,
    Order.OLDEST: Order.ID,
    Order.DOUBT: Order.SURE,
    Order.SURE: Order.DOUBT,
}


#: Where a page ends: (probability, image id); the probability is None in the order of ids.
Cursor = tuple[float | None, int]

_FROM = (
    images.join(runs)
    .join(chunks, chunks.c.id == images.c.chunk_id)
    .outerjoin(predictions, PREDICTION_OF_RUN)
    .outerjoin(review_changes, REVIEW_OF_IMAGE)
)
#: The columns that `picture_of` reads.
PICTURE = (
    images.c.id,
    images.c.source_path,
    images.c.archived_path,
    images.c.in_intake,
    images.c.size,
    images.c.width,
    images.c.height,
    images.c.code,
)
#: Condition: the image was not deleted, and its photo was not removed because of its age.
HAS_PHOTO = sa.and_(images.c.deleted_at.is_(None), images.c.photo_removed_at.is_(None))
#: Faults of images that are drawn: a part of a damaged file may be readable, and GAVE_UP is no fault of a
#: file. A file that ended a worker or took too long is not decoded again for a page.
_DRAWN = (FaultCode.TRUNCATED, FaultCode.GAVE_UP)
#: The other fields of ImageResult, which only pages and lists read, and their columns.
PAGE_COLUMNS: Mapping[str, sa.ColumnElement[Any]] = {
    "main_probability": predictions.c.main_probability,
    "review_id": images.c.review_id,
    "deleted_by": images.c.deleted_by,
}
_SELECT = sa.select(*RESULT_COLUMNS.values(), *PAGE_COLUMNS.values()).select_from(_FROM)


def page(
    db: Database, wanted: Filter, order: Order, after: Cursor | None, limit: int
) -> tuple[Sequence[ImageResult], Cursor | None]:
    """Return a page of images after a cursor, in an order of REVERSED, and the next cursor.

    In the orders of probability, images without a prediction are left out.
    """
    query = _SELECT.where(*conditions(wanted))
    number, probability = images.c.id, predictions.c.probability
    if order.is_of_ids:
        query = query.order_by(number.desc() if order is Order.ID else number)
        if after:
            query = query.where(number < after[1] if order is Order.ID else number > after[1])
    else:
        row = sa.tuple_(probability, number)
        columns = (probability, number) if order is Order.DOUBT else (probability.desc(), number.desc())
        query = query.where(probability.is_not(None)).order_by(*columns)
        if after:
            end = sa.tuple_(sa.literal(after[0], probability.type), sa.literal(after[1], number.type))
            query = query.where(row > end if order is Order.DOUBT else row < end)
    with db.read() as connection:
        rows = connection.execute(query.limit(limit + 1)).all()
    found = [ImageResult._make(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return found, None
    return found, cursor_of(found[-1], order)


def page_before(
    db: Database, wanted: Filter, order: Order, before: Cursor, limit: int
) -> tuple[Sequence[ImageResult], Cursor | None]:
    """Return the page before a cursor, in an order of REVERSED, and the cursor of the page before that."""
    found, earlier = page(db, wanted, REVERSED[order], before, limit)
    return list(reversed(found)), earlier


def cursor_of(image: ImageResult, order: Order) -> Cursor:
    """Return the place of an image in an order of REVERSED."""
    return (None if order.is_of_ids else image.probability, image.id)


def in_order(db: Database, image_ids: Sequence[int], order: Order) -> list[int]:
    """Return some thousand ids in an order of probability or name; images without a prediction come last."""
    columns: Mapping[Order, sa.ColumnElement[Any]] = {
        Order.DOUBT: predictions.c.probability.asc().nulls_last(),
        Order.SURE: predictions.c.probability.desc().nulls_last(),
        Order.NAME: images.c.source_path.asc(),
    }
    query = (
        sa.select(images.c.id)
        .select_from(images.join(runs).outerjoin(predictions, PREDICTION_OF_RUN))
        .where(images.c.id.in_(image_ids))
        .order_by(columns[order], images.c.id)
    )
    with db.read() as connection:
        return list(connection.execute(query).scalars())


class Neighbours(NamedTuple):
    """The ids of the images before and after one in a list; None at its ends."""

    before: int | None
    after: int | None


def neighbours(db: Database, wanted: Filter, order: Order, image: ImageResult) -> Neighbours:
    """Return what comes before and after an image in a list, in the order of `page`.

    An image that the filter leaves out has neighbours where it would be. In the orders of probability, an
    image without a prediction has none.
    """
    if order in {Order.OLDEST, Order.SURE}:
        around = neighbours(db, wanted, REVERSED[order], image)
        return Neighbours(around.after, around.before)
    some = (
        sa.select(images.c.id)
        .select_from(images.join(runs).outerjoin(predictions, PREDICTION_OF_RUN))
        .limit(1)
    )
    query = some.where(*conditions(wanted))
    run_id, number = images.c.run_id, images.c.id
    if order is Order.ID and wanted.run_id is None:
        before = query.where(number > image.id).order_by(number)
        after = query.where(number < image.id).order_by(number.desc())
    elif order is Order.ID:
        # A range of runs, not an equal run: else PostgreSQL reads every later image by the primary key to
        # find that the run has no more.
        place = sa.tuple_(run_id, number)
        here = sa.tuple_(sa.literal(wanted.run_id, run_id.type), sa.literal(image.id, number.type))
        rest = some.where(*conditions(wanted._replace(run_id=None)))
        before = rest.where(place > here, run_id <= wanted.run_id).order_by(run_id, number)
        after = rest.where(place < here, run_id >= wanted.run_id).order_by(run_id.desc(), number.desc())
    elif image.probability is None:
        return Neighbours(None, None)
    else:
        probability = predictions.c.probability
        row = sa.tuple_(probability, images.c.id)
        here = sa.tuple_(
            sa.literal(image.probability, probability.type), sa.literal(image.id, images.c.id.type)
        )
        before = query.where(row < here).order_by(probability.desc(), images.c.id.desc())
        after = query.where(row > here).order_by(probability, images.c.id)
    with db.read() as connection:
        return Neighbours(connection.execute(before).scalar(), connection.execute(after).scalar())


def conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of a filter."""
    equal = {
        images.c.run_id: wanted.run_id,
        images.c.state: wanted.state,
        images.c.final_label: wanted.label,
        predictions.c.label: wanted.predicted,
        predictions.c.decision: wanted.decision,
        images.c.code: wanted.code,
    }
    found = [column == value for column, value in equal.items() if value is not None]
    if wanted.least is not None:
        found.append(predictions.c.probability >= wanted.least)
    if wanted.most is not None:
        found.append(predictions.c.probability <= wanted.most)
    if wanted.unfamiliar is not None:
        # The text of a partial index.
        is_unfamiliar: Any = UNFAMILIAR
        found.append(is_unfamiliar if wanted.unfamiliar else predictions.c.unfamiliar.is_not(True))
    return found


def listed(db: Database, image_ids: Sequence[int]) -> list[ImageResult]:
    """Return images by their ids, in the order of the ids; unknown ids are left out."""
    with db.read() as connection:
        rows = connection.execute(_SELECT.where(images.c.id.in_(image_ids))).all()
    found = {row.id: ImageResult._make(row) for row in rows}
    return [found[image_id] for image_id in image_ids if image_id in found]


def find(db: Database, image_id: int) -> ImageResult | None:
    """Return one image; None for an unknown id."""
    query = _SELECT.where(images.c.id == image_id)
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    return ImageResult._make(row) if row else None


def picture(db: Database, image_id: int) -> Picture | None:
    """Return where the file of an image that can be drawn lies now; None for any other image."""
    can_be_drawn = sa.or_(images.c.state == ImageState.CLASSIFIED, images.c.code.in_(_DRAWN))
    query = sa.select(*PICTURE).where(images.c.id == image_id, can_be_drawn, HAS_PHOTO)
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    return picture_of(row) if row else None


def classified_file(db: Database, image_id: int) -> tuple[Picture, str] | None:
    """Return where the file of a classified image lies now, and its sha256; None for any other image."""
    is_classified = sa.and_(images.c.id == image_id, images.c.state == ImageState.CLASSIFIED, HAS_PHOTO)
    with db.read() as connection:
        row = connection.execute(sa.select(*PICTURE, images.c.sha256).where(is_classified)).one_or_none()
    return (picture_of(row), row.sha256) if row else None


def picture_of(row: Any) -> Picture:
    """Return the file of a row with the columns PICTURE, and where it lies now."""
    path = row.source_path if row.in_intake or row.archived_path is None else row.archived_path
    return Picture(path, row.size, row.width, row.height, row.code == FaultCode.TRUNCATED, row.id)


def all_predictions(db: Database, image_id: int) -> list[StoredPrediction]:
    """Return the predictions that each version of a model made for an image, the newest version first."""
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
            predictions.c.familiarity,
        )
        .join_from(predictions, model_versions)
        .where(predictions.c.image_id == image_id)
        .order_by(model_versions.c.id.desc())
    )
    with db.read() as connection:
        return [
            StoredPrediction(ModelRef(row.name, row.version), *row[2:]) for row in connection.execute(query)
        ]
