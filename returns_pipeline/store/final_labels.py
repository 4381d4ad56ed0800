"""The final label of an image: the newest review that was not taken back, else its prediction.

The slip of a return has none without a review, because it shows no item.

The prediction is that of the model of the image's run. The final label is kept in columns of `images`, which
are written in the transaction that stores the prediction or the review.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from returns_pipeline.records.images import ImageState, LabelSource
from returns_pipeline.records.predictions import Prediction
from returns_pipeline.records.returns import LinkSource
from returns_pipeline.records.reviews import ReviewAction, ReviewOutcome
from returns_pipeline.store import bulk, returns
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import (
    OF_OLDER_RELEASE,
    WITHOUT_SOURCE,
    images,
    predictions,
    review_changes,
    reviews,
    runs,
)

#: Columns of `images` that `of_prediction` fills.
COLUMNS = ("final_label", "final_source")
#: Actions that give an image a final label or an outcome.
DECISIONS = (ReviewAction.ACCEPT, ReviewAction.CORRECT)

_undo = review_changes.alias("undo")
#: Condition: no later action takes back this action of review_changes.
STANDS = ~sa.exists().where(_undo.c.undoes == review_changes.c.id, _undo.c.undoes.is_not(None))

_NEWEST = (
    sa.select(review_changes.c.id)
    .where(review_changes.c.image_id == images.c.id, review_changes.c.action.in_(DECISIONS), STANDS)
    .order_by(review_changes.c.id.desc())
    .limit(1)
    .correlate(images)
    .scalar_subquery()
)
_REVIEWED = (
    sa.select(review_changes.c.label)
    .where(review_changes.c.id == images.c.review_id)
    .correlate(images)
    .scalar_subquery()
)
_PREDICTED = (
    sa.select(predictions.c.label)
    .join_from(predictions, runs, runs.c.model_version_id == predictions.c.model_version_id)
    .where(predictions.c.image_id == images.c.id, runs.c.id == images.c.run_id)
    .correlate(images)
    .scalar_subquery()
)
_IS_SLIP = images.c.return_source == LinkSource.THE_SLIP


def of_prediction(prediction: Prediction | None) -> tuple[str | None, str | None]:
    """Return the values of COLUMNS for an image without a review. One without a result has none yet."""
    return (prediction.label, LabelSource.MODEL.value) if prediction else (None, None)


def settle(connection: sa.Connection, image_ids: Sequence[int], *, changes_reports: bool = True) -> None:
    """Write the final labels of images from their reviews and predictions.

    Call it in the transaction that adds or takes back a review. With `changes_reports`, the reports of their
    runs are written again.
    """
    for some in bulk.parts(image_ids):
        these = images.c.id.in_(some)
        connection.execute(sa.update(images).where(these).values(review_id=_NEWEST))
        connection.execute(
            sa.update(images)
            .where(these)
            .values(
                final_label=sa.case(
                    (images.c.review_id.is_not(None), _REVIEWED), (_IS_SLIP, None), else_=_PREDICTED
                ),
                final_source=sa.case(
                    (images.c.review_id.is_not(None), LabelSource.PERSON.value),
                    (_IS_SLIP, LabelSource.SLIP.value),
                    (images.c.state == ImageState.CLASSIFIED, LabelSource.MODEL.value),
                    else_=None,
                ),
            )
        )
        returns.queue_of_images(connection, these)
        if changes_reports:
            changed = sa.select(images.c.run_id).where(these)
            connection.execute(sa.update(runs).where(runs.c.id.in_(changed)).values(corrected_at=utc_now()))


def complete_older(db: Database, most: int) -> int:
    """Complete rows that a program of the release before 0010 has written; return how many images.

    It works beside this one during an upgrade. Costs two empty indexes if there are none.
    """
    with db.write() as connection:
        unlabelled = (
            connection.execute(sa.select(images.c.id).where(WITHOUT_SOURCE).limit(most)).scalars().all()
        )
        reviewed = _complete_actions(connection, most)
        settle(connection, unlabelled, changes_reports=False)
        settle(connection, reviewed)
    return len(unlabelled) + len(reviewed)


def _complete_actions(connection: sa.Connection, most: int) -> Sequence[int]:
    """Fill the columns that an older program does not know; return the images of the actions."""
    found = connection.execute(
        sa.select(review_changes.c.id, review_changes.c.image_id, review_changes.c.action)
        .where(OF_OLDER_RELEASE)
        .order_by(review_changes.c.id)
        .limit(most)
    ).all()
    earlier = review_changes.alias("earlier")
    newest_before = (
        sa.select(sa.func.max(earlier.c.id))
        .where(
            earlier.c.image_id == review_changes.c.image_id,
            earlier.c.who == review_changes.c.who,
            earlier.c.id < review_changes.c.id,
            earlier.c.action.in_(DECISIONS),
        )
        .correlate(review_changes)
        .scalar_subquery()
    )
    main_label = (
        sa.select(reviews.c.main_label)
        .where(
            reviews.c.image_id == review_changes.c.image_id,
            reviews.c.reviewed_at == review_changes.c.changed_at,
        )
        .correlate(review_changes)
        .scalar_subquery()
    )
    for row in found:
        values: dict[str, object] = {"outcome": row.action}
        if row.action in DECISIONS:
            values = {"outcome": ReviewOutcome.LABEL.value, "main_label": main_label}
        elif row.action == ReviewAction.UNDO:
            values["undoes"] = newest_before
        connection.execute(sa.update(review_changes).where(review_changes.c.id == row.id).values(values))
    return sorted({int(row.image_id) for row in found})
