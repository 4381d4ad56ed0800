"""Matches: which photo repeats which earlier one, and what a person decided about it."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from returns_pipeline.records.likeness import Match, MatchDecision, MatchKind, PhotoChange, StoredMatch
from returns_pipeline.records.returns import EarlierPhoto
from returns_pipeline.store import bulk, returns
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import image_matches, images
from returns_pipeline.store.tables import returns as returns_table

_FOUND = ("earlier_id", "kind", "distance", "changes", "matched_at")


def add(db: Database, connection: sa.Connection, matches: Iterable[Match]) -> tuple[int, bool]:
    """Store matches, and queue the returns of their photos for judging. May run twice.

    Returns how many photos are matched, and whether a return is queued.

    Of several matches of a photo the earliest stays, and one that a person has decided stays as it is. The
    photos must be locked by `likeness.lock`, so that none of them is deleted meanwhile.
    """
    now = utc_now()
    best: dict[int, Match] = {}
    for match in sorted(matches, key=lambda each: (each.earlier_id, each.kind is not MatchKind.EXACT)):
        best.setdefault(match.image_id, match)
    if not best:
        return 0, False
    rows = [
        {
            "image_id": match.image_id,
            "earlier_id": match.earlier_id,
            "kind": match.kind.value,
            "distance": match.distance,
            "changes": ",".join(match.changes),
            "matched_at": now,
        }
        for _, match in sorted(best.items())
    ]
    insert = db.insert(image_matches)
    given = insert.excluded
    upsert = insert.on_conflict_do_update(
        index_elements=["image_id"],
        set_={name: given[name] for name in _FOUND},
        where=sa.and_(given.earlier_id < image_matches.c.earlier_id, image_matches.c.decision.is_(None)),
    )
    connection.execute(upsert, rows)
    queued = [returns.queue_of_images(connection, images.c.id.in_(part)) for part in bulk.parts(sorted(best))]
    return len(best), any(queued)


def remove(connection: sa.Connection, image_ids: Sequence[int]) -> list[int]:
    """Remove the matches of images with any photo; return the images that were matched with them.

    Their returns are queued for judging. The caller has locked `image_ids`.
    """
    matched = sa.or_(image_matches.c.image_id.in_(image_ids), image_matches.c.earlier_id.in_(image_ids))
    later = list(
        connection.execute(
            sa.delete(image_matches).where(matched).returning(image_matches.c.image_id)
        ).scalars()
    )
    for part in bulk.parts(later):
        returns.queue_of_images(connection, images.c.id.in_(part))
    return later


def match_of(db: Database, image_id: int) -> StoredMatch | None:
    """Return the earliest match of a photo; None if it is new."""
    with db.read() as connection:
        row = connection.execute(
            sa.select(image_matches).where(image_matches.c.image_id == image_id)
        ).one_or_none()
    return None if row is None else stored(row)


def stored(row: Any) -> StoredMatch:
    """Return a row of `image_matches` as a match."""
    changes = tuple(PhotoChange(each) for each in row.changes.split(",") if each)
    match = Match(row.image_id, row.earlier_id, MatchKind(row.kind), row.distance, changes)
    decision = MatchDecision(row.decision) if row.decision else None
    return StoredMatch(match, row.matched_at, decision, row.decided_by, row.decided_at)


def earlier_photos(connection: sa.Connection, image_ids: Sequence[int]) -> dict[int, EarlierPhoto]:
    """Return the earlier photo of each image that came before with another return, or with none.

    Leaves out what a person has dismissed.
    """
    mine, earlier = images.alias("mine"), images.alias("earlier")
    query = (
        sa.select(image_matches.c.image_id, image_matches.c.earlier_id, returns_table.c.number)
        .join_from(image_matches, mine, mine.c.id == image_matches.c.image_id)
        .join(earlier, earlier.c.id == image_matches.c.earlier_id)
        .outerjoin(returns_table, returns_table.c.id == earlier.c.return_id)
        .where(
            image_matches.c.image_id.in_(sa.bindparam("some", expanding=True)),
            image_matches.c.decision.is_distinct_from(MatchDecision.DISMISSED),
            earlier.c.return_id.is_distinct_from(mine.c.return_id),
        )
    )
    return {
        row.image_id: EarlierPhoto(*row)
        for part in bulk.parts(image_ids)
        for row in connection.execute(query, {"some": part})
    }
