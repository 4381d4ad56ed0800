"""The photos of a return, and the return of a photo."""

from datetime import date, tzinfo
from typing import NamedTuple

import sqlalchemy as sa

from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.returns import LinkSource
from returns_pipeline.records.runs import RunKind
from returns_pipeline.store import browsing
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import images, returns, runs

#: The photos of one return that a page shows.
MOST_SHOWN = 60


class ReturnPhoto(NamedTuple):
    """A photo of a return; `source` says how that is known, `conflict` what contradicts."""

    image: ImageResult
    source: str | None
    conflict: str | None


class PhotoReturn(NamedTuple):
    """The return of a photo; see ReturnPhoto."""

    number: str
    verdict: str | None
    source: str | None
    conflict: str | None


def of_return(db: Database, return_id: int) -> list[ReturnPhoto]:
    """Return the photos of a return, the first that came in first; at most MOST_SHOWN."""
    query = (
        sa.select(images.c.id, images.c.return_source, images.c.return_conflict)
        .where(images.c.return_id == return_id, images.c.return_id.is_not(None))
        .order_by(images.c.id)
        .limit(MOST_SHOWN)
    )
    with db.read() as connection:
        links = {row.id: row for row in connection.execute(query)}
    shown = browsing.listed(db, list(links))
    return [
        ReturnPhoto(image, links[image.id].return_source, links[image.id].return_conflict) for image in shown
    ]


def days_of(db: Database, return_id: int, zone: tzinfo) -> list[date]:
    """Return the days on which photos of a return came in, the first one first.

    A slip is no photo of the item, and a file that is tried again came in before.
    """
    query = (
        sa.select(runs.c.opened_at)
        .join_from(images, runs, runs.c.id == images.c.run_id)
        .where(
            images.c.return_id == return_id,
            images.c.return_id.is_not(None),
            images.c.return_source.is_distinct_from(LinkSource.THE_SLIP),
            images.c.deleted_at.is_(None),
            runs.c.kind != RunKind.RETRY,
        )
        .distinct()
    )
    with db.read() as connection:
        return sorted({at.astimezone(zone).date() for at in connection.execute(query).scalars()})


def return_of(db: Database, image_id: int) -> PhotoReturn | None:
    """Return the return that a photo belongs to, or None."""
    query = (
        sa.select(returns.c.number, returns.c.verdict, images.c.return_source, images.c.return_conflict)
        .select_from(images.join(returns, returns.c.id == images.c.return_id))
        .where(images.c.id == image_id)
    )
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    return PhotoReturn(*row) if row else None


def came_with(db: Database, run_id: int) -> bool:
    """Whether a photo of a run belongs to a return."""
    query = sa.select(images.c.id).where(images.c.run_id == run_id, images.c.return_id.is_not(None)).limit(1)
    with db.read() as connection:
        return connection.execute(query).first() is not None
