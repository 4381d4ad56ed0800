"""Joins that several queries need."""

import sqlalchemy as sa

from returns_pipeline.records.removal import DELETED
from returns_pipeline.store.tables import UtcDateTime, chunks, images, model_versions, predictions, runs

#: The path by which an image is known. That of a deleted one may still be stored, while its file is removed.
SHOWN_PATH = sa.case(
    (images.c.deleted_at.is_not(None), sa.literal(DELETED, images.c.source_path.type)),
    else_=images.c.source_path,
)

#: Each run with the model version that it was opened for.
RUNS_WITH_MODEL = runs.join(model_versions, model_versions.c.id == runs.c.model_version_id)

#: When an image came in. Chunks of releases before 0010 have no moment of their own: then that of their run.
RECEIVED_AT = sa.func.coalesce(chunks.c.received_at, runs.c.opened_at, type_=UtcDateTime)

#: Condition that joins an image and its run with the prediction of that run's model.
PREDICTION_OF_RUN = sa.and_(
    predictions.c.image_id == images.c.id, predictions.c.model_version_id == runs.c.model_version_id
)
