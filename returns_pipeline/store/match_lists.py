"""Matches as pages and programs see them: two photos that are the same, with their returns."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from returns_pipeline.errors import NotFoundError
from returns_pipeline.records.likeness import StoredMatch
from returns_pipeline.records.returns import LinkSource
from returns_pipeline.store import photo_matches
from returns_pipeline.store.browsing import HAS_PHOTO
from returns_pipeline.store.database import Database
from returns_pipeline.store.joins import RECEIVED_AT
from returns_pipeline.store.tables import chunks, image_matches, images, returns, runs

#: The matches that a page shows.
MOST_SHOWN = 20
#: The photos of one return whose matches are looked for.
_MOST_PHOTOS = 200

_mine, _earlier = images.alias("mine"), images.alias("earlier")
#: Retakes of one return, and slips, are no photos that were used before.
_TOLD = sa.and_(
    sa.or_(_mine.c.return_id.is_(None), _mine.c.return_id.is_distinct_from(_earlier.c.return_id)),
    _mine.c.return_source.is_distinct_from(LinkSource.THE_SLIP),
    _mine.c.deleted_at.is_(None),
    _earlier.c.deleted_at.is_(None),
)
_MATCHES = (
    sa.select(image_matches)
    .join_from(image_matches, _mine, _mine.c.id == image_matches.c.image_id)
    .join(_earlier, _earlier.c.id == image_matches.c.earlier_id)
)
#: A subquery, so that PostgreSQL looks up a chunk for each photo and never reads all chunks.
_RECEIVED_AT = (
    sa.select(RECEIVED_AT)
    .join_from(chunks, runs, runs.c.id == chunks.c.run_id)
    .where(chunks.c.id == images.c.chunk_id)
    .correlate(images)
    .scalar_subquery()
)
_PHOTOS = sa.select(
    images.c.id,
    _RECEIVED_AT.label("received_at"),
    HAS_PHOTO.label("has_photo"),
    images.c.final_label,
    images.c.width,
    images.c.height,
    returns.c.id.label("return_id"),
    returns.c.number,
    returns.c.order_number,
    returns.c.customer,
    returns.c.verdict,
).join_from(images, returns, returns.c.id == images.c.return_id, isouter=True)


class MatchedPhoto(NamedTuple):
    """One photo of a match. `width` and `height` are in pixels; None in the last five without a return."""

    id: int
    received_at: datetime
    has_photo: bool
    label: str | None
    width: int | None
    height: int | None
    return_id: int | None
    number: str | None
    order_number: str | None
    customer: str | None
    verdict: str | None


class ShownMatch(NamedTuple):
    """A match with both photos: the one that came in later, and the earlier one."""

    stored: StoredMatch
    photo: MatchedPhoto
    earlier: MatchedPhoto


def of_images(db: Database, image_ids: Collection[int]) -> list[ShownMatch]:
    """Return the matches of photos, as the later or the earlier one; those to decide first. At most 20."""
    these = sa.or_(image_matches.c.image_id.in_(image_ids), image_matches.c.earlier_id.in_(image_ids))
    order = (image_matches.c.decision.is_not(None), image_matches.c.image_id.desc())
    query = _MATCHES.where(these, _TOLD).order_by(*order).limit(MOST_SHOWN)
    with db.read() as connection:
        return _shown(connection, query)


def of_return(db: Database, return_id: int) -> list[ShownMatch]:
    """Return the matches of the photos of a return, as `of_images` does."""
    query = (
        sa.select(images.c.id)
        .where(images.c.return_id == return_id, images.c.return_id.is_not(None))
        .limit(_MOST_PHOTOS)
    )
    with db.read() as connection:
        found = list(connection.execute(query).scalars())
    return of_images(db, found) if found else []


def existing(db: Database, image_id: int) -> ShownMatch:
    """Return the match of a photo. Raises NotFoundError if it is like no earlier photo."""
    with db.read() as connection:
        found = _shown(connection, _MATCHES.where(image_matches.c.image_id == image_id))
    if not found:
        raise no_match(image_id)
    return found[0]


def no_match(image_id: int) -> NotFoundError:
    """Return the error of a photo that is like no earlier photo."""
    return NotFoundError("Photo {image} is like no earlier photo.", image=image_id)


def undecided(db: Database) -> list[ShownMatch]:
    """Return the newest matches that no person has decided; at most 20."""
    query = _MATCHES.where(image_matches.c.decision.is_(None), _TOLD)
    with db.read() as connection:
        return _shown(connection, query.order_by(image_matches.c.image_id.desc()).limit(MOST_SHOWN))


def is_waiting(db: Database) -> bool:
    """Whether a match waits for a person's decision."""
    # In an order, so that PostgreSQL reads an index and not the table.
    newest = image_matches.c.image_id.desc()
    query = _MATCHES.where(image_matches.c.decision.is_(None), _TOLD).order_by(newest).limit(1)
    with db.read() as connection:
        return connection.execute(query).first() is not None


def counts(db: Database) -> dict[str, int]:
    """Return how many matches have each decision; `none` without one."""
    decision = sa.func.coalesce(image_matches.c.decision, sa.literal_column("'none'"))
    with db.read() as connection:
        rows = connection.execute(sa.select(decision, sa.func.count()).group_by(decision))
        return {str(name): int(count) for name, count in rows}


def _shown(connection: sa.Connection, query: sa.Select[Any]) -> list[ShownMatch]:
    matches = [photo_matches.stored(row) for row in connection.execute(query)]
    ids = {each.match.image_id for each in matches} | {each.match.earlier_id for each in matches}
    rows = connection.execute(_PHOTOS.where(images.c.id.in_(ids)))
    photos = {row.id: MatchedPhoto._make(row) for row in rows}
    return [ShownMatch(each, photos[each.match.image_id], photos[each.match.earlier_id]) for each in matches]
