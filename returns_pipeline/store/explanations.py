"""Explanations of predictions, and the embeddings to find similar images."""

from collections.abc import Iterator

import sqlalchemy as sa

from returns_pipeline.records.explanations import Explanation, ToExplain
from returns_pipeline.records.images import ImageState
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.predictions import Embedded
from returns_pipeline.store.browsing import HAS_PHOTO
from returns_pipeline.store.clocks import is_past
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.joins import PREDICTION_OF_RUN, RUNS_WITH_MODEL
from returns_pipeline.store.tables import embeddings, explanations, images, model_versions, predictions, runs

#: Chunks that are read in one query: 3 MB for the largest chunks.
_AT_ONCE = 20
_BYTES_OF_AN_ID = 8
#: How long a failed explanation is kept. The cause, for example a missing disk or model, may be repaired.
_FAULTS_LAST_SECONDS = 60


def to_explain(db: Database, image_id: int) -> ToExplain | None:
    """Return what is needed to explain a classified image; None for any other image."""
    query = (
        sa.select(
            images.c.chunk_id,
            model_versions.c.name,
            model_versions.c.version,
            model_versions.c.sha256.label("model_sha256"),
            model_versions.c.id.label("model_version_id"),
            predictions.c.label_index,
        )
        .select_from(images.join(RUNS_WITH_MODEL).join(predictions, PREDICTION_OF_RUN))
        .where(images.c.id == image_id, images.c.state == ImageState.CLASSIFIED, HAS_PHOTO)
    )
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return ToExplain(
        chunk_id=row.chunk_id,
        model=ModelRef(row.name, row.version),
        model_sha256=row.model_sha256,
        model_version_id=row.model_version_id,
        label_index=row.label_index,
    )


def find(db: Database, image_id: int) -> Explanation | None:
    """Return the explanation of the prediction by the model of an image's run, or None.

    A failed explanation is returned for one minute.
    """
    is_old = is_past(explanations.c.created_at, utc_now(), _FAULTS_LAST_SECONDS)
    lasts = sa.or_(explanations.c.fault.is_(None), sa.not_(is_old))
    query = (
        sa.select(
            explanations.c.fault,
            explanations.c.height,
            explanations.c.width,
            explanations.c.heat,
            explanations.c.similar,
        )
        .select_from(explanations.join(images).join(runs))
        .where(
            explanations.c.image_id == image_id,
            explanations.c.model_version_id == runs.c.model_version_id,
            lasts,
        )
    )
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    return Explanation._make(row) if row else None


def save(db: Database, image_id: int, model_version_id: int, explanation: Explanation) -> None:
    """Store an explanation. It replaces a failed one; a successful one stays.

    Stores nothing for an image that was deleted, or whose photo was removed, meanwhile.
    """
    values = {**explanation._asdict(), "created_at": utc_now()}
    key = [explanations.c.image_id, explanations.c.model_version_id]
    with db.write() as connection:
        connection.execute(
            db.insert(explanations)
            .values(image_id=image_id, model_version_id=model_version_id, **values)
            .on_conflict_do_update(index_elements=key, set_=values, where=explanations.c.fault.is_not(None))
        )
        # A removal locks the image, so it is either seen here or sees this row.
        is_gone = sa.select(images.c.id).where(images.c.id == image_id, sa.not_(HAS_PHOTO))
        connection.execute(sa.delete(explanations).where(explanations.c.image_id.in_(is_gone)))


def earlier_embeddings(db: Database, model_version_id: int, chunk_id: int, most: int) -> Iterator[Embedded]:
    """Yield a model's embeddings of about `most` images, from chunk `chunk_id` backwards, newest first."""
    query = (
        sa.select(embeddings.c.chunk_id, embeddings.c.image_ids, embeddings.c.vectors)
        .where(embeddings.c.model_version_id == model_version_id)
        .order_by(embeddings.c.chunk_id.desc())
        .limit(_AT_ONCE)
    )
    last = chunk_id
    while most > 0:
        with db.read() as connection:
            rows = connection.execute(query.where(embeddings.c.chunk_id <= last)).all()
        for row in rows:
            yield Embedded(row.image_ids, row.vectors)
            most -= len(row.image_ids) // _BYTES_OF_AN_ID
        if len(rows) < _AT_ONCE:
            return
        last = rows[-1].chunk_id - 1
