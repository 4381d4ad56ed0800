"""What a model looked at in an image, and what it takes to find others like it."""

from collections.abc import Iterator

import sqlalchemy as sa

from returns_pipeline.records import Embedded, ImageState, ModelRef
from returns_pipeline.store import browsing
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import images, model_versions, predictions, runs
from returns_pipeline.store.web_tables import embeddings, explanations
from returns_pipeline.web_records import Asked, Explanation

#: Chunks that are read at once: 3 MB of the largest.
_AT_ONCE = 20
_BYTES_OF_AN_ID = 8

_OF_RUN = sa.and_(
    predictions.c.image_id == images.c.id, predictions.c.model_version_id == runs.c.model_version_id
)


def asked(db: Database, image_id: int) -> Asked | None:
    """Return what is needed to explain an image; None for one that has no answer or is explained already."""
    query = (
        sa.select(
            model_versions.c.name,
            model_versions.c.version,
            model_versions.c.sha256,
            model_versions.c.id,
            predictions.c.label_index,
        )
        .select_from(images.join(runs).join(model_versions).join(predictions, _OF_RUN))
        .where(images.c.id == image_id, images.c.state == ImageState.CLASSIFIED)
    )
    if find(db, image_id) is not None:
        return None
    picture = browsing.picture(db, image_id)
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None or picture is None:
        return None
    return Asked(picture, ModelRef(row.name, row.version), row.sha256, row.id, row.label_index)


def find(db: Database, image_id: int) -> Explanation | None:
    """Return the explanation of what the model of an image's run answered; None before there is one."""
    query = (
        sa.select(
            explanations.c.fault,
            explanations.c.height,
            explanations.c.width,
            explanations.c.heat,
            explanations.c.alike,
        )
        .select_from(explanations.join(images).join(runs))
        .where(
            explanations.c.image_id == image_id, explanations.c.model_version_id == runs.c.model_version_id
        )
    )
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    return Explanation._make(row) if row else None


def save(db: Database, image_id: int, model_version_id: int, explanation: Explanation) -> None:
    """Keep an explanation; one that is there already stays."""
    with db.write() as connection:
        connection.execute(
            db.insert(explanations)
            .values(
                image_id=image_id,
                model_version_id=model_version_id,
                created_at=utc_now(),
                **explanation._asdict(),
            )
            .on_conflict_do_nothing()
        )


def newest_embeddings(db: Database, model_version_id: int, most: int) -> Iterator[Embedded]:
    """Yield a model's embeddings of nights, newest chunk first, of about `most` images."""
    query = (
        sa.select(embeddings.c.chunk_id, embeddings.c.image_ids, embeddings.c.vectors)
        .where(embeddings.c.model_version_id == model_version_id)
        .order_by(embeddings.c.chunk_id.desc())
        .limit(_AT_ONCE)
    )
    before = None
    while most > 0:
        page = query if before is None else query.where(embeddings.c.chunk_id < before)
        with db.read() as connection:
            rows = connection.execute(page).all()
        for row in rows:
            yield Embedded(row.image_ids, row.vectors)
            most -= len(row.image_ids) // _BYTES_OF_AN_ID
        if len(rows) < _AT_ONCE:
            return
        before = rows[-1].chunk_id
