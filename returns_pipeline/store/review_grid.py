"""Many images of one predicted category for a reviewer: which there are, and their embeddings."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa

from returns_pipeline.records.images import LabelSource
from returns_pipeline.records.predictions import Embedded
from returns_pipeline.records.reviews import GridImage, ReviewScope
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.joins import PREDICTION_OF_RUN
from returns_pipeline.store.review_queue import free_for, in_scope, is_held_by
from returns_pipeline.store.reviews import LAST
from returns_pipeline.store.tables import HELD, WAITING, embeddings, images, predictions, reviews, runs

#: Waiting images that are counted by label: the least sure ones.
_MOST_COUNTED = 10_000
#: Chunks whose embeddings are read: at most 9 MB for the largest chunks.
_MOST_CHUNKS = 60
#: Condition: the image was neither skipped nor put aside.
_IS_NOT_ASIDE = reviews.c.rank < LAST

_COLUMNS = (
    images.c.id,
    images.c.source_path,
    predictions.c.probability,
    images.c.chunk_id,
    predictions.c.model_version_id,
)
_PREDICTED = images.join(runs, runs.c.id == images.c.run_id).join(predictions, PREDICTION_OF_RUN)


def waiting_by_label(db: Database, who: str, scope: ReviewScope) -> list[tuple[str, int]]:
    """Return how many images of a scope wait for this reviewer, by predicted label, most first.

    Counts the 10,000 least sure ones. The label of the scope is not used.
    """
    some = (
        sa.select(reviews.c.image_id, reviews.c.run_id)
        .where(WAITING, free_for(who, utc_now()), _IS_NOT_ASIDE, *in_scope(scope._replace(predicted=None)))
        .order_by(reviews.c.rank)
        .limit(_MOST_COUNTED)
        .subquery()
    )
    # A subquery for each image: joined, PostgreSQL reads the predictions of all images.
    predicted = (
        sa.select(predictions.c.label)
        .where(
            predictions.c.image_id == some.c.image_id,
            predictions.c.model_version_id == runs.c.model_version_id,
        )
        .scalar_subquery()
    )
    labels = (
        sa.select(predicted.label("label"))
        .select_from(some.join(runs, runs.c.id == some.c.run_id))
        # With a limit, a label is found once for each image, and not again for each use of it.
        .limit(_MOST_COUNTED)
        .subquery()
    )
    count = sa.func.count()
    query = (
        sa.select(labels.c.label, count)
        .where(labels.c.label.is_not(None))
        .group_by(labels.c.label)
        .order_by(count.desc(), labels.c.label)
    )
    with db.read() as connection:
        return [(str(row[0]), int(row[1])) for row in connection.execute(query)]


def waiting(db: Database, who: str, scope: ReviewScope, most: int) -> list[GridImage]:
    """Return up to `most` images that wait for this reviewer: those that they hold, then the least sure."""
    now = utc_now()
    ids = (
        sa.select(reviews.c.image_id)
        .where(WAITING, _IS_NOT_ASIDE, free_for(who, now), *in_scope(scope))
        .order_by(reviews.c.rank)
        .limit(most)
    )
    with db.read() as connection:
        held = connection.execute(ids.where(HELD, is_held_by(who, now))).scalars().all()
        found = list(dict.fromkeys([*held, *connection.execute(ids).scalars()]))[:most]
        query = sa.select(*_COLUMNS).select_from(_PREDICTED).where(images.c.id.in_(found))
        rows = {row.id: GridImage._make(row) for row in connection.execute(query)}
    return [rows[image_id] for image_id in found if image_id in rows]


def unreviewed(db: Database, who: str, run_id: int, label: str, most: int) -> list[GridImage]:
    """Return up to `most` images of a run with a predicted label and without a review, oldest first.

    Leaves out what other reviewers hold, and what was skipped or put aside.
    """
    first = sa.select(sa.func.min(images.c.id)).where(images.c.run_id == run_id).scalar_subquery()
    last = sa.select(sa.func.max(images.c.id)).where(images.c.run_id == run_id).scalar_subquery()
    is_away = sa.exists().where(
        reviews.c.image_id == images.c.id,
        WAITING,
        sa.or_(~free_for(who, utc_now()), sa.not_(_IS_NOT_ASIDE)),
    )
    query = (
        sa.select(*_COLUMNS)
        .select_from(_PREDICTED)
        .where(
            # Without a review, the final label is the predicted one; its index has the ids in order.
            images.c.final_label == label,
            images.c.id.between(first, last),
            # An expression, so that no index of runs is used: it would read every label.
            images.c.run_id + 0 == run_id,
            images.c.final_source == LabelSource.MODEL,
            ~is_away,
        )
        .order_by(images.c.id)
        .limit(most)
    )
    with db.read() as connection:
        return [GridImage._make(row) for row in connection.execute(query)]


def hold(db: Database, who: str, image_ids: Sequence[int], seconds: float) -> set[int]:
    """Hold the images that are in the queue for a reviewer; return those that another has taken meanwhile."""
    now = utc_now()
    these = (reviews.c.image_id.in_(image_ids), WAITING)
    with db.write() as connection:
        connection.execute(
            sa.update(reviews)
            .where(*these, free_for(who, now))
            .values(held_by=who, held_until=now + timedelta(seconds=seconds))
        )
        return set(
            connection.execute(sa.select(reviews.c.image_id).where(*these, ~free_for(who, now))).scalars()
        )


def embeddings_of(db: Database, found: Sequence[GridImage]) -> list[Embedded]:
    """Return the embeddings of the chunks of images, of one model; those with the most images first.

    Reads 60 chunks at most. The other images of a chunk are among them.
    """
    of_chunks = Counter((image.model_version_id, image.chunk_id) for image in found)
    keys = [key for key, _ in of_chunks.most_common(_MOST_CHUNKS)]
    models = {model for model, _ in keys}
    # Directions of different models cannot be compared.
    model = min(models, default=0)
    query = sa.select(embeddings.c.image_ids, embeddings.c.vectors).where(
        embeddings.c.model_version_id == model,
        embeddings.c.chunk_id.in_([chunk for of, chunk in keys if of == model]),
    )
    with db.read() as connection:
        return [Embedded(row.image_ids, row.vectors) for row in connection.execute(query)]
