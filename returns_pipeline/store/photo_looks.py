"""The vectors of photos: asked for by a row, computed by a worker, kept as long as their photo."""

from datetime import datetime

import sqlalchemy as sa

from returns_pipeline.records.embedding import PhotoLook, PhotoToLook
from returns_pipeline.store import spaces
from returns_pipeline.store.clocks import is_past
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import photo_looks

_look = photo_looks.c
_COLUMNS = (_look.id, _look.vector, _look.fault)
#: How long a failed one is kept. The cause, for example a missing disk or space, may be repaired.
_FAULTS_LAST_SECONDS = 60


def of_image(db: Database, space_id: int, image_id: int) -> PhotoLook:
    """Return the vector of an image in a space; ask for it if there is none, or if it failed a minute ago."""
    this = sa.and_(_look.image_id == image_id, _look.space_id == space_id)
    now = utc_now()
    with db.read() as connection:
        row = connection.execute(sa.select(*_COLUMNS, _look.asked_at).where(this)).one_or_none()
    if row and row.vector is not None:
        return PhotoLook(row.id, row.vector, None)
    has_failed = sa.and_(_look.fault.is_not(None), is_past(_look.asked_at, now, _FAULTS_LAST_SECONDS))
    with db.write() as connection:
        connection.execute(
            db.insert(photo_looks)
            .values(space_id=space_id, image_id=image_id, asked_at=now)
            .on_conflict_do_update(
                index_elements=["image_id", "space_id"],
                set_={"fault": None, "asked_at": now},
                where=has_failed,
            )
        )
        return PhotoLook._make(connection.execute(sa.select(*_COLUMNS).where(this)).one())


def ask(db: Database, space_id: int, path: str, size: int) -> PhotoLook:
    """Ask for the vector of a spool file."""
    with db.write() as connection:
        added = connection.execute(
            sa.insert(photo_looks)
            .values(space_id=space_id, path=path, size=size, asked_at=utc_now())
            .returning(_look.id)
        )
        return PhotoLook(added.scalar_one(), None, None)


def find(db: Database, known: PhotoLook) -> PhotoLook:
    """Return what became of a photo; one whose row is gone stays as it is `known`."""
    with db.read() as connection:
        row = connection.execute(sa.select(*_COLUMNS).where(_look.id == known.id)).one_or_none()
    return PhotoLook._make(row) if row else known


def of_upload(db: Database, look_id: int, space_id: int) -> PhotoLook | None:
    """Return the vector of a photo that was sent to find products; None if it is not kept any more."""
    this = sa.and_(_look.id == look_id, _look.space_id == space_id, _look.image_id.is_(None))
    with db.read() as connection:
        row = connection.execute(sa.select(*_COLUMNS).where(this)).one_or_none()
    return PhotoLook._make(row) if row else None


def to_look(db: Database, look_id: int) -> PhotoToLook | None:
    """Return what a worker needs; None if it is done or its row is gone."""
    is_open = sa.and_(_look.id == look_id, _look.vector.is_(None), _look.fault.is_(None))
    with db.read() as connection:
        row = connection.execute(
            sa.select(_look.space_id, _look.image_id, _look.path, _look.size).where(is_open)
        ).one_or_none()
        if row is None:
            return None
        return PhotoToLook(spaces.find(connection, row.space_id), row.image_id, row.path, row.size or 0)


def save(db: Database, look_id: int, vector: bytes | None, fault: str | None) -> None:
    """Store the result. It changes nothing if the row is gone because its image was deleted meanwhile."""
    with db.write() as connection:
        connection.execute(
            sa.update(photo_looks)
            .where(_look.id == look_id, _look.vector.is_(None))
            .values(vector=vector, fault=fault, path=None, size=None)
        )


def remove_uploads(db: Database, before: datetime) -> None:
    """Remove the vectors of photos that were sent before a moment to find products."""
    with db.write() as connection:
        connection.execute(sa.delete(photo_looks).where(_look.image_id.is_(None), _look.asked_at < before))
