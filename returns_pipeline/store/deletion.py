"""Deletes images: the row stays, without name and content, so that the counts of its run stand.

One transaction marks the images as deleted, removes everything that came from them, and notes which files are
still to be removed. `usecases.deletion` then removes the files; `finish` ends what it could not end.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from returns_pipeline.errors import ConflictError, GoneError, NotFoundError
from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.records.chunks import ChunkState
from returns_pipeline.records.images import ImageState, LabelSource
from returns_pipeline.records.notices import NoticeKind
from returns_pipeline.records.removal import DELETED, OpenRemoval, StoredFile
from returns_pipeline.records.runs import RunKind, RunState
from returns_pipeline.store import audit, likeness, product_comparisons, returns, search_index, vectors
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import (
    IDENTITY,
    WAITING,
    chunks,
    explanations,
    file_removals,
    image_codes,
    image_fingerprints,
    images,
    outbox,
    photo_looks,
    predictions,
    review_changes,
    reviews,
    runs,
)

#: Runs whose images may have the files of earlier images.
_AGAIN = (RunKind.RETRY, RunKind.ADHOC)

_IMAGES = (
    sa.select(
        images.c.id,
        images.c.run_id,
        images.c.chunk_id,
        images.c.source_path,
        images.c.archived_path,
        images.c.in_intake,
        images.c.size,
        IDENTITY.label("identity"),
        images.c.sha256,
        images.c.state,
        images.c.deleted_at,
        images.c.deleted_by,
        chunks.c.state.label("chunk_state"),
        runs.c.kind,
        runs.c.model_version_id,
        sa.func.coalesce(runs.c.intake, runs.c.directory, type_=runs.c.intake.type).label("intake"),
    )
    .join_from(images, chunks, chunks.c.id == images.c.chunk_id)
    .join(runs, runs.c.id == images.c.run_id)
)


def same_file(db: Database, image_id: int) -> list[int]:
    """Return the images that a deletion of this one deletes: it, and those that were made of the same file.

    Another image has the same file if the file was tried again, or classified by another model to compare it.
    Raises NotFoundError for an unknown id, GoneError for a deleted image.
    """
    with db.read() as connection:
        return sorted(row.id for row in _family(connection, image_id))


def begin(db: Database, image_id: int, who: str, roots: Sequence[str]) -> list[int]:
    """Delete an image and those of the same file, but for their files; return their ids.

    `roots` are the folders that `search_index.searchable` takes. Raises as `same_file`, and ConflictError if
    one of the images is not classified yet or if the report of its run is being written.
    """
    now = utc_now()
    with db.write(lasting=True) as connection:
        search_index.lock(db, connection)
        ids = sorted(row.id for row in _family(connection, image_id))
        # Waits for a late write of a prediction or an explanation; each refers to the image.
        these = images.c.id.in_(ids)
        connection.execute(sa.select(images.c.id).where(these).order_by(images.c.id).with_for_update())
        rows = connection.execute(_IMAGES.where(these).order_by(images.c.id)).all()
        for row in rows:
            _require_finished(row)
        _mark_runs(connection, {row.run_id for row in rows}, now)
        files = [file for row in rows if (file := _file_of(row))]
        if files:
            connection.execute(sa.insert(file_removals), [file._asdict() for file in files])
        returns.queue_of_images(connection, these)
        _remove_what_came_from(connection, rows)
        _empty(connection, rows, now, who)
        search_index.rebuild(connection, ids, roots)
        for row in rows:
            detail = {"run": row.run_id} if row.id == image_id else {"run": row.run_id, "with": image_id}
            audit.record(connection, who, AuditAction.IMAGE_DELETE, AuditSubject.IMAGE, row.id, **detail)
    return ids


def _family(connection: sa.Connection, image_id: int) -> Iterable[Any]:
    """Return the rows of an image and of those of the same file."""
    first = connection.execute(_IMAGES.where(images.c.id == image_id)).one_or_none()
    if first is None:
        raise NotFoundError("There is no image {image}.", image=image_id)
    if first.deleted_at is not None:
        raise already_deleted(image_id, first.deleted_at, first.deleted_by)
    found = {first.id: first}
    while (earlier := _earlier(connection, first)) is not None and earlier.id not in found:
        found[earlier.id] = first = earlier
    todo = list(found.values())
    while todo:
        for later in _later(connection, todo.pop()):
            if later.id not in found:
                found[later.id] = later
                todo.append(later)
    return found.values()


def _earlier(connection: sa.Connection, row: Any) -> Any:
    """Return the image that had moved the file to where this one found it; None if there is none."""
    number = row.source_path.rpartition("/")[2].partition("-")[0]
    if row.kind not in _AGAIN or not (number.isascii() and number.isdigit() and len(number) < 19):
        return None
    return connection.execute(
        _IMAGES.where(images.c.id == int(number), images.c.archived_path == row.source_path)
    ).one_or_none()


def _later(connection: sa.Connection, row: Any) -> Sequence[Any]:
    """Return the images of later runs that found the file where this one had moved it."""
    if row.archived_path is None:
        return []
    again = sa.select(runs.c.id).where(runs.c.kind.in_(_AGAIN), runs.c.id > row.run_id)
    return connection.execute(
        _IMAGES.where(images.c.run_id.in_(again), images.c.source_path == row.archived_path)
    ).all()


def already_deleted(image_id: int, at: datetime, who: str | None) -> GoneError:
    """Return the error of a request for a deleted image."""
    sentence = "Image {image} was deleted by {who} on {at:%Y-%m-%d} at {at:%H:%M} UTC."
    return GoneError(sentence, image=image_id, who=who, at=at)


def _require_finished(row: Any) -> None:
    if row.deleted_at is not None:
        raise already_deleted(row.id, row.deleted_at, row.deleted_by)
    if row.state == ImageState.PENDING or row.chunk_state != ChunkState.DONE:
        raise ConflictError(
            "Image {image} is being classified or moved now, so it cannot be deleted yet.",
            "Try again in some minutes.",
            image=row.id,
        )


def _mark_runs(connection: sa.Connection, run_ids: set[int], now: datetime) -> None:
    """Have the reports of runs written again. A run that is being closed adds images to the review queue."""
    can_change = sa.and_(runs.c.id.in_(run_ids), runs.c.state != RunState.CLOSING)
    marked = connection.execute(sa.update(runs).where(can_change).values(corrected_at=now))
    if marked.rowcount != len(run_ids):
        raise ConflictError("The report of the run is being written now.", "Try again in a minute.")


def _file_of(row: Any) -> StoredFile | None:
    """Return the file of an image that is this program's; None if a person has named it where it lies."""
    if row.in_intake:
        intake = (row.intake or "").rstrip("/")
        is_inside = intake and row.source_path.startswith(f"{intake}/")
        root = intake if is_inside else row.source_path.rpartition("/")[0]
        path = row.source_path
    elif row.archived_path is not None:
        # ROOT/run-RUN/CHUNK/NAME, see photos.destinations.
        path, root = row.archived_path, row.archived_path.rsplit("/", 3)[0]
    else:
        return None
    return StoredFile(row.id, path, root, row.size, row.identity, row.sha256)


def _remove_what_came_from(connection: sa.Connection, rows: Sequence[Any]) -> None:
    ids = [row.id for row in rows]
    for table in (predictions, explanations, image_fingerprints, image_codes, photo_looks):
        connection.execute(sa.delete(table).where(table.c.image_id.in_(ids)))
    likeness.forget(connection, ids)
    product_comparisons.forget(connection, ids)
    for row in rows:
        vectors.remove(connection, row.model_version_id, row.chunk_id, [row.id])
    # What was reviewed stays as a number: by whom, when, and whether the model was right.
    connection.execute(sa.delete(reviews).where(reviews.c.image_id.in_(ids), WAITING))
    connection.execute(
        sa.update(reviews)
        .where(reviews.c.image_id.in_(ids))
        .values(label=None, main_label=None, held_by=None, held_until=None)
    )
    of_images = review_changes.c.image_id.in_(ids)
    changes = connection.execute(sa.select(review_changes.c.id).where(of_images)).scalars().all()
    connection.execute(
        sa.update(review_changes)
        .where(of_images)
        .values(label=None, main_label=None, outcome=review_changes.c.action)
    )
    causes = [f"{NoticeKind.IMAGE_CORRECTED}:{change}" for change in changes]
    told = sa.select(outbox.c.id, outbox.c.data).where(outbox.c.cause.in_(causes))
    for notice in connection.execute(told).all():
        kept = {name: notice.data.get(name) for name in ("image", "run", "by", "at")}
        empty = dict.fromkeys(("predicted_label", "outcome", "label", "main_category"))
        connection.execute(
            sa.update(outbox)
            .where(outbox.c.id == notice.id)
            .values(
                text=f"{notice.data.get('by')} corrected photo {notice.data.get('image')}, which was deleted "
                "later.",
                data={**kept, **empty, "name": DELETED},
            )
        )


def _empty(connection: sa.Connection, rows: Sequence[Any], now: datetime, who: str) -> None:
    """Remove name and content from rows. A path in the intake stays until its file is gone.

    Else the next scan would take the file for a new photo.
    """
    connection.execute(
        sa.update(images)
        .where(images.c.id.in_([row.id for row in rows]))
        .values(
            source_path=sa.case((images.c.in_intake, images.c.source_path), else_=DELETED),
            size=0,
            mtime_ns=0,
            identity=None,
            detail=None,
            sha256=None,
            format=None,
            width=None,
            brightness=None,
            height=None,
            archived_path=None,
            final_label=None,
            # Programs of the release before complete classified rows without it.
            final_source=sa.case(
                (images.c.state == ImageState.CLASSIFIED, LabelSource.MODEL.value), else_=None
            ),
            review_id=None,
            return_conflict=None,
            deleted_at=now,
            deleted_by=who[:100],
        )
    )


def open_removals(
    db: Database, image_ids: Sequence[int] | None = None, most: int = 1000
) -> list[OpenRemoval]:
    """Return the files of deleted images that are still to be removed, of these images or of all."""
    query = sa.select(file_removals).order_by(file_removals.c.image_id).limit(most)
    if image_ids is not None:
        query = query.where(file_removals.c.image_id.in_(image_ids))
    with db.read() as connection:
        return [
            OpenRemoval(
                StoredFile(*(getattr(row, name) for name in StoredFile._fields)),
                row.attempts,
                row.tried_at,
                row.error,
            )
            for row in connection.execute(query)
        ]


def finish(db: Database, image_id: int) -> None:
    """Record that the file of a deleted image is gone; its path is free now. May run twice."""
    with db.write() as connection:
        connection.execute(
            sa.update(images)
            .where(images.c.id == image_id, images.c.deleted_at.is_not(None))
            .values(source_path=DELETED, in_intake=False)
        )
        connection.execute(sa.delete(file_removals).where(file_removals.c.image_id == image_id))


def failed(db: Database, image_id: int, error: str) -> None:
    """Record why the file of a deleted image could not be removed; it is tried again."""
    with db.write() as connection:
        connection.execute(
            sa.update(file_removals)
            .where(file_removals.c.image_id == image_id)
            .values(attempts=file_removals.c.attempts + 1, tried_at=utc_now(), error=error)
        )
        # The path belongs to another photo by now.
        connection.execute(
            sa.update(images)
            .where(images.c.id == image_id, images.c.deleted_at.is_not(None), sa.not_(images.c.in_intake))
            .values(source_path=DELETED)
        )


def gone_among(db: Database, image_ids: Iterable[int]) -> set[int]:
    """Return which of these images were deleted, have no photo any more, or do not exist; 0 is no image."""
    wanted = set(image_ids) - {0}
    kept = sa.select(images.c.id).where(
        images.c.id.in_(wanted), images.c.deleted_at.is_(None), images.c.photo_removed_at.is_(None)
    )
    with db.read() as connection:
        return wanted - set(connection.execute(kept).scalars())
