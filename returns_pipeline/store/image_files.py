"""The file of an image: what is known of it, and where it is now."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from returns_pipeline.records.chunks import ChunkState
from returns_pipeline.records.images import FilePlace, ImageFile, ImageState
from returns_pipeline.records.runs import RunKind
from returns_pipeline.records.text import file_name
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import IDENTITY, chunks, file_removals, images, runs


def find(db: Database, image_id: int) -> ImageFile | None:
    """Return the file of an image; None for an unknown id."""
    query = (
        sa.select(
            images.c.source_path,
            images.c.archived_path,
            images.c.in_intake,
            images.c.size,
            IDENTITY.label("identity"),
            images.c.state,
            images.c.sha256,
            images.c.format,
            images.c.width,
            images.c.height,
            images.c.deleted_at,
            images.c.photo_removed_at,
            chunks.c.state.label("chunk_state"),
            sa.func.coalesce(runs.c.intake, runs.c.directory, type_=runs.c.intake.type).label("intake"),
            runs.c.kind,
        )
        .select_from(images.join(chunks, chunks.c.id == images.c.chunk_id).join(runs))
        .where(images.c.id == image_id)
    )
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    place = _place(row)
    return ImageFile(
        path=row.archived_path if place in {FilePlace.ARCHIVE, FilePlace.QUARANTINE} else row.source_path,
        size=row.size,
        identity=row.identity,
        place=place,
        sha256=row.sha256,
        format=row.format,
        width=row.width,
        height=row.height,
        intake=row.intake,
        kind=row.kind,
        name=file_name(row.source_path),
        folder=row.source_path.rpartition("/")[0],
    )


def _place(row: Any) -> FilePlace:
    if row.deleted_at is not None:
        return FilePlace.DELETED
    if row.photo_removed_at is not None:
        return FilePlace.REMOVED
    if row.state == ImageState.PENDING:
        return FilePlace.WAITING
    if row.in_intake:
        return FilePlace.STAYING if row.chunk_state == ChunkState.DONE else FilePlace.LEAVING
    if row.archived_path is not None:
        return FilePlace.ARCHIVE if row.state == ImageState.CLASSIFIED else FilePlace.QUARANTINE
    return FilePlace.NAMED if row.kind == RunKind.ADHOC else FilePlace.GONE


def unknown(db: Database, paths: Sequence[str]) -> list[str]:
    """Return which of these paths below archive and quarantine belong to no image: see photos.destinations.

    A file that is still to be removed belongs to its deleted image. At most some hundred paths.
    """
    owners = {path: _owner(path) for path in paths}
    ids = sorted({owner for owner in owners.values() if owner is not None})
    of_images = sa.select(images.c.id, images.c.archived_path).where(images.c.id.in_(ids))
    of_removals = sa.select(file_removals.c.image_id, file_removals.c.path).where(
        file_removals.c.image_id.in_(ids)
    )
    with db.read() as connection:
        known = {(int(row[0]), row[1]) for row in connection.execute(of_images)}
        known |= {(int(row[0]), row[1]) for row in connection.execute(of_removals)}
    return [path for path in paths if (owners[path], path) not in known]


def _owner(path: str) -> int | None:
    """Return the id of the image that a file's name begins with."""
    number = path.rpartition("/")[2].partition("-")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 19 else None
