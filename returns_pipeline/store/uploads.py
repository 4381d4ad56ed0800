"""Images uploaded over HTTP: which are pending, and their results."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from returns_pipeline.errors import GoneError
from returns_pipeline.records.images import ImageState, Received
from returns_pipeline.records.runs import RunKind, RunState
from returns_pipeline.store import bulk
from returns_pipeline.store.clocks import FUTURE
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.joins import PREDICTION_OF_RUN
from returns_pipeline.store.tables import NOT_CLOSED, images, predictions, runs


def image_ids(db: Database, chunk_ids: Sequence[int]) -> dict[str, int]:
    """Return the ids of the images of these chunks, by path."""
    query = sa.select(images.c.source_path, images.c.id).where(images.c.chunk_id.in_(chunk_ids))
    with db.read() as connection:
        return {row.source_path: int(row.id) for row in connection.execute(query)}


def chunks_of(db: Database, image_ids: Sequence[int]) -> set[int]:
    """Return the chunks that these images belong to now."""
    found: set[int] = set()
    with db.read() as connection:
        for part in bulk.parts(image_ids):
            some = images.c.id.in_(part)
            found |= set(connection.execute(sa.select(images.c.chunk_id).where(some).distinct()).scalars())
    return found


def pending(db: Database, chunk_ids: Sequence[int]) -> set[int]:
    """Return which of these chunks have pending images."""
    query = (
        sa.select(images.c.chunk_id)
        .where(images.c.chunk_id.in_(chunk_ids), images.c.state == ImageState.PENDING)
        .distinct()
    )
    with db.read() as connection:
        return set(connection.execute(query).scalars())


def outcomes(db: Database, wanted: Sequence[int]) -> dict[int, Received]:
    """Return these images with their results, by id. Predictions are those of each run's model.

    Raises GoneError if one of them was deleted, for example before a request was repeated.
    """
    query = (
        sa.select(
            images.c.id,
            images.c.state,
            images.c.code,
            images.c.detail,
            predictions.c.label_index,
            predictions.c.label,
            predictions.c.probability,
            predictions.c.main_label,
            predictions.c.main_probability,
            predictions.c.top,
            predictions.c.decision,
        )
        .select_from(images.join(runs).outerjoin(predictions, PREDICTION_OF_RUN))
        .where(images.c.id.in_(sa.bindparam("some", expanding=True)), images.c.deleted_at.is_(None))
    )
    found = {}
    with db.read() as connection:
        for part in bulk.parts(wanted):
            for row in connection.execute(query, {"some": part}):
                found[int(row.id)] = Received._make(row)
    if missing := set(wanted) - set(found):
        raise GoneError("Image {image} was deleted.", image=min(missing))
    return found


def end_days(db: Database, before: datetime) -> int:
    """Stop the upload runs that were opened before a moment from taking more images; return how many.

    They close when their images are done, like any other run.
    """
    with db.write() as connection:
        ended = connection.execute(
            sa.update(runs)
            .where(
                NOT_CLOSED,
                runs.c.kind == RunKind.API,
                runs.c.state == RunState.SCANNING,
                # The second kind was opened while the clock was ahead.
                sa.or_(runs.c.opened_at < before, runs.c.opened_at > utc_now() + FUTURE),
            )
            .values(state=RunState.RUNNING, touched_at=utc_now())
        )
        return int(ended.rowcount)


def unknown(db: Database, paths: Sequence[str]) -> list[str]:
    """Return which of these paths belong to no image in the intake."""
    with db.read() as connection:
        known: set[str] = set()
        for part in bulk.parts(paths):
            query = sa.select(images.c.source_path).where(images.c.source_path.in_(part), images.c.in_intake)
            known |= set(connection.execute(query).scalars())
    return [path for path in paths if path not in known]
