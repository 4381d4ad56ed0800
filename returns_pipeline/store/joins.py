"""Joins that several queries need."""

import sqlalchemy as sa

from returns_pipeline.store.tables import images, model_versions, predictions, runs

#: Each run with the model version that it was opened for.
RUNS_WITH_MODEL = runs.join(model_versions, model_versions.c.id == runs.c.model_version_id)

#: Condition that joins an image and its run with the prediction of that run's model.
PREDICTION_OF_RUN = sa.and_(
    predictions.c.image_id == images.c.id, predictions.c.model_version_id == runs.c.model_version_id
)
