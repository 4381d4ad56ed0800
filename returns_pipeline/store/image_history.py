"""What happened to an image, step by step."""

import sqlalchemy as sa

from returns_pipeline.records.images import FilePlace, ImageState
from returns_pipeline.records.reviews import Event
from returns_pipeline.store.database import Database
from returns_pipeline.store.final_labels import DECISIONS
from returns_pipeline.store.joins import RECEIVED_AT
from returns_pipeline.store.tables import (
    chunks,
    images,
    model_versions,
    predictions,
    review_changes,
    runs,
)


def history(db: Database, image_id: int) -> list[Event]:
    """Return what happened to an image, oldest first: received, predicted, finished, moved, reviewed.

    A prediction and the move of the file have the moment at which the image's chunk was finished.
    """
    with db.read() as connection:
        image = connection.execute(
            sa.select(
                RECEIVED_AT.label("received"),
                chunks.c.finished_at,
                images.c.state,
                images.c.in_intake,
                images.c.archived_path,
                images.c.photo_removed_at,
            )
            .select_from(images.join(chunks, chunks.c.id == images.c.chunk_id).join(runs))
            .where(images.c.id == image_id)
        ).one_or_none()
        if image is None:
            return []
        actions = connection.execute(
            sa.select(review_changes)
            .where(review_changes.c.image_id == image_id)
            .order_by(review_changes.c.id)
        ).all()
        predicted = connection.execute(
            sa.select(model_versions.c.name, model_versions.c.version, predictions.c.label)
            .join_from(predictions, model_versions)
            .where(predictions.c.image_id == image_id)
            .order_by(model_versions.c.id)
        ).all()
    events = [Event(image.received, "received", "", "")]
    if image.finished_at is not None:
        events += [
            Event(image.finished_at, "predicted", f"{row.name}/{row.version}", row.label) for row in predicted
        ]
        events.append(Event(image.finished_at, "finished", "", image.state))
        if not image.in_intake and image.archived_path is not None:
            place = FilePlace.ARCHIVE if image.state == ImageState.CLASSIFIED else FilePlace.QUARANTINE
            events.append(Event(image.finished_at, "moved", "", place))
    if image.photo_removed_at is not None:
        events.append(Event(image.photo_removed_at, "photo_removed", "", ""))
    events += [
        Event(row.changed_at, row.action, row.who, row.label or row.outcome or "")
        if row.action in DECISIONS
        else Event(row.changed_at, row.action, row.who, "")
        for row in actions
    ]
    return sorted(events, key=lambda event: event.at)
