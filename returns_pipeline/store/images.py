"""Images with their predictions, for reports and for the command line."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import starmap
from typing import Any

import sqlalchemy as sa

from returns_pipeline.records.chunks import ChunkState
from returns_pipeline.records.images import FoundFile, ImageResult, ImageState
from returns_pipeline.records.models import PredictionPair
from returns_pipeline.records.runs import OpenWork
from returns_pipeline.store.database import Database
from returns_pipeline.store.joins import PREDICTION_OF_RUN, RECEIVED_AT, SHOWN_PATH
from returns_pipeline.store.tables import (
    IDENTITY,
    UNFINISHED,
    chunks,
    images,
    predictions,
    review_changes,
    runs,
)

#: The first fields of ImageResult, in their order, and the column that fills each. A new column of an image
#: or of its prediction is a field there and a line here; `returns_pipeline.report.columns` says which outputs
#: show it.
RESULT_COLUMNS: Mapping[str, sa.ColumnElement[Any]] = {
    "id": images.c.id,
    "path": SHOWN_PATH,
    "state": images.c.state,
    "code": images.c.code,
    "detail": images.c.detail,
    "archived_path": sa.type_coerce(
        sa.case((images.c.in_intake, None), else_=images.c.archived_path), images.c.archived_path.type
    ),
    "label_index": predictions.c.label_index,
    "label": predictions.c.label,
    "probability": predictions.c.probability,
    "main_label": predictions.c.main_label,
    "decision": predictions.c.decision,
    "final_label": images.c.final_label,
    "final_source": images.c.final_source,
    "review_outcome": review_changes.c.outcome,
    "reviewed_label": review_changes.c.label,
    "reviewer": review_changes.c.who,
    "reviewed_at": review_changes.c.changed_at,
    "received_at": RECEIVED_AT,
    "run_id": images.c.run_id,
    "deleted_at": images.c.deleted_at,
    "photo_removed_at": images.c.photo_removed_at,
    "familiarity": predictions.c.familiarity,
}
#: The review of an image that counts.
REVIEW_OF_IMAGE = review_changes.c.id == images.c.review_id


def paths_to_retry(db: Database, run_id: int | None) -> list[str]:
    """Return the paths of the quarantined and failed images of a run, or of all runs if `run_id` is None."""
    query = sa.select(images.c.archived_path).where(
        images.c.state.in_([ImageState.QUARANTINED, ImageState.FAILED]),
        images.c.archived_path.is_not(None),
        ~images.c.in_intake,
    )
    if run_id is not None:
        query = query.where(images.c.run_id == run_id)
    with db.read() as connection:
        return list(connection.execute(query.order_by(images.c.id)).scalars())


def release_replaced(connection: sa.Connection, files: Sequence[FoundFile]) -> set[str]:
    """Release the paths whose photo could not be moved and is another one by now; return them.

    The path of such a photo belongs to its row, so that a scan does not take the same photo every night.
    """
    staying = (
        sa.select(images.c.id, images.c.source_path, IDENTITY.label("identity"))
        .join_from(images, chunks)
        .where(
            images.c.source_path.in_([file.path for file in files]),
            images.c.in_intake,
            chunks.c.state == ChunkState.DONE,
        )
    )
    found = {file.path: file.identity for file in files}
    replaced = {
        row.id: row.source_path
        for row in connection.execute(staying)
        if row.identity != found[row.source_path]
    }
    if replaced:
        connection.execute(sa.update(images).where(images.c.id.in_(list(replaced))).values(in_intake=False))
    return set(replaced.values())


def open_work(db: Database, run_id: int | None = None) -> OpenWork:
    """Return the unfinished work of one run, or of all runs if `run_id` is None."""
    leased = sa.func.count().filter(chunks.c.state == ChunkState.LEASED)
    query = (
        sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(chunks.c.size), 0),
            leased,
            sa.func.min(runs.c.opened_at),
            sa.func.max(chunks.c.error),
        )
        .join_from(chunks, runs)
        .where(UNFINISHED)
    )
    if run_id is not None:
        query = query.where(chunks.c.run_id == run_id)
    with db.read() as connection:
        return OpenWork(*connection.execute(query).one())


def results(db: Database, run_id: int, state: ImageState | None = None) -> Iterator[ImageResult]:
    """Yield the images of a run, chunk by chunk, with the prediction of the run's model.

    Images of an open run that move to another chunk meanwhile may be missing. There is one short query for
    each chunk: memory stays flat, no transaction is long, and every database reads only the chunk's own rows.
    """
    query = (
        sa.select(*RESULT_COLUMNS.values())
        .select_from(
            images.join(chunks, chunks.c.id == images.c.chunk_id)
            .join(runs, runs.c.id == images.c.run_id)
            .outerjoin(predictions, PREDICTION_OF_RUN)
            .outerjoin(review_changes, REVIEW_OF_IMAGE)
        )
        .where(images.c.chunk_id == sa.bindparam("chunk"))
        .order_by(images.c.id)
    )
    if state:
        query = query.where(images.c.state == state)
    with db.read() as connection:
        chunk_ids = connection.execute(
            sa.select(chunks.c.id).where(chunks.c.run_id == run_id).order_by(chunks.c.id)
        )
        listed = list(chunk_ids.scalars())
    for chunk_id in listed:
        with db.read() as connection:
            rows = connection.execute(query, {"chunk": chunk_id}).all()
        yield from starmap(ImageResult, rows)


def replayed(db: Database, run_id: int, replay_id: int) -> Iterator[PredictionPair]:
    """Yield the predictions of a run, each paired with its replay's prediction for the same file.

    The replay's labels are held in memory, about 200 bytes for each image.
    """
    labels = {image.path: image.label for image in results(db, replay_id)}
    for image in results(db, run_id, ImageState.CLASSIFIED):
        if image.label is not None and image.has_photo:
            yield PredictionPair(image.path, image.label, labels.get(image.lies_at))
