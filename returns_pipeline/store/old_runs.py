"""Removes the rows of the photos of old runs, some hundred at a time. The runs stay, with their counts.

A run leaves whole or not at all: nothing of it may wait for a person, and its photos are removed before.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import sqlalchemy as sa

from returns_pipeline.records.removal import KeptRun
from returns_pipeline.records.runs import RunState
from returns_pipeline.store import bulk, likeness, product_comparisons
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.search_places import BLOCK
from returns_pipeline.store.tables import (
    KEPT,
    WAITING,
    chunks,
    compared_images,
    embeddings,
    explanations,
    file_removals,
    held_comparisons,
    image_codes,
    image_fingerprints,
    image_matches,
    images,
    photo_looks,
    predictions,
    returns,
    review_changes,
    reviews,
    runs,
    search_grams,
    uncompared_chunks,
)

#: Photos of one transaction: on SQLite, a night waits some milliseconds for it.
AT_ONCE = 250

_OF_RUN = images.c.run_id == sa.bindparam("run")
_undecided = sa.select(sa.true()).select_from(images.join(returns, returns.c.id == images.c.return_id))
_later = images.alias("later")
#: SQLite gives the numbers of the newest rows again if these are removed. Files and notices name them.
_newest_image = sa.select(sa.func.max(_later.c.id)).scalar_subquery()
_newest_review = (
    sa.select(review_changes.c.image_id).order_by(review_changes.c.id.desc()).limit(1).scalar_subquery()
)
#: Why a run is kept: each query finds a row if there is a reason.
_REASONS: Mapping[KeptRun, sa.Select[Any]] = MappingProxyType(
    {
        KeptRun.HAS_PHOTOS: sa.select(sa.true()).where(chunks.c.run_id == sa.bindparam("run"), KEPT),
        KeptRun.STAYS_IN_INTAKE: sa.select(sa.true()).where(_OF_RUN, images.c.in_intake),
        KeptRun.WAITS_FOR_REVIEW: sa.select(sa.true()).where(
            reviews.c.run_id == sa.bindparam("run"), WAITING
        ),
        KeptRun.HAS_OPEN_RETURN: _undecided.where(_OF_RUN, returns.c.decision.is_(None)),
        KeptRun.IS_EVIDENCE: sa.select(sa.true())
        .select_from(
            images.join(image_matches, image_matches.c.earlier_id == images.c.id)
            .join(_later, _later.c.id == image_matches.c.image_id)
            .join(returns, returns.c.id == _later.c.return_id)
        )
        .where(_OF_RUN, returns.c.decision.is_(None)),
        KeptRun.HAS_FILES_TO_REMOVE: sa.select(sa.true())
        .select_from(file_removals.join(images))
        .where(_OF_RUN),
        KeptRun.IS_NEWEST: sa.select(sa.true()).where(
            _OF_RUN,
            sa.or_(
                images.c.id == _newest_image,
                images.c.id == _newest_review,
            ),
        ),
    }
)
#: Tables of which a row belongs to one image.
_OF_IMAGE = (
    *(predictions, explanations, image_fingerprints, image_codes, photo_looks, reviews, review_changes),
    *(image_matches, compared_images),
)


class OldRun(NamedTuple):
    """A closed run whose photos have rows. `is_leaving`: some of them are removed already."""

    id: int
    images: int
    is_leaving: bool


def find(db: Database, before: datetime, after: int, most: int) -> list[OldRun]:
    """Return closed runs with rows that were opened before a moment, by ascending id, after an id.

    A run whose report is to be written again is left out until it is.
    """
    query = (
        sa.select(runs.c.id, runs.c.seen, runs.c.rows_leaving_at.is_not(None))
        .where(
            runs.c.id > after,
            runs.c.state == RunState.CLOSED,
            runs.c.opened_at < before,
            runs.c.closed_at < before,
            runs.c.rows_removed_at.is_(None),
            sa.or_(runs.c.corrected_at.is_(None), runs.c.rows_leaving_at.is_not(None)),
        )
        .order_by(runs.c.id)
        .limit(most)
    )
    with db.read() as connection:
        return [OldRun._make(row) for row in connection.execute(query)]


def kept_because(db: Database, run_id: int) -> KeptRun | None:
    """Return why a run may not leave yet; None if it may."""
    with db.read() as connection:
        return _reason(connection, run_id)


def _reason(connection: sa.Connection, run_id: int) -> KeptRun | None:
    for reason, query in _REASONS.items():
        if connection.execute(query.limit(1), {"run": run_id}).first() is not None:
            return reason
    return None


def begin(db: Database, run_id: int) -> bool:
    """Let a run leave; return whether it may. From then on, its report and counts are never made again."""
    with db.write() as connection:
        this = sa.and_(runs.c.id == run_id, runs.c.corrected_at.is_(None))
        # Locks the run: a review or a deletion of one of its images changes the same row.
        connection.execute(sa.select(runs.c.id).where(this).with_for_update())
        if _reason(connection, run_id) is not None:
            return False
        return bool(
            connection.execute(sa.update(runs).where(this).values(rows_leaving_at=utc_now())).rowcount
        )


def remove_some(db: Database, run_id: int) -> int:
    """Remove the rows of AT_ONCE photos of a run that leaves, in one transaction; return how many.

    When none is left, the run is marked. May run twice.
    """
    some = sa.select(images.c.id).where(images.c.run_id == run_id).order_by(images.c.id).limit(AT_ONCE)
    with db.write() as connection:
        ids = list(connection.execute(some.with_for_update()).scalars())
        if not ids:
            _finish(connection, run_id)
            return 0
        _remove(connection, ids)
        _forget_names(connection, ids)
        return len(ids)


def _remove(connection: sa.Connection, ids: Sequence[int]) -> None:
    for part in bulk.parts(ids):
        likeness.forget_pictures(connection, part)
        product_comparisons.forget(connection, part)
        connection.execute(sa.delete(image_matches).where(image_matches.c.earlier_id.in_(part)))
        for table in _OF_IMAGE:
            connection.execute(sa.delete(table).where(table.c.image_id.in_(part)))
        connection.execute(sa.delete(images).where(images.c.id.in_(part)))


def _forget_names(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Remove the blocks of the index of names in which no image is left. Others are skipped by a search."""
    for block in {image_id // BLOCK for image_id in ids}:
        within = images.c.id.between(block * BLOCK, block * BLOCK + BLOCK - 1)
        if connection.execute(sa.select(images.c.id).where(within).limit(1)).first() is None:
            connection.execute(sa.delete(search_grams).where(search_grams.c.block == block))


def _finish(connection: sa.Connection, run_id: int) -> None:
    of_run = sa.select(chunks.c.id).where(chunks.c.run_id == run_id)
    for table in (embeddings, uncompared_chunks, held_comparisons):
        connection.execute(sa.delete(table).where(table.c.chunk_id.in_(of_run)))
    connection.execute(sa.update(runs).where(runs.c.id == run_id).values(rows_removed_at=utc_now()))


def is_leaving(db: Database, run_id: int) -> bool:
    """Whether rows of a run's photos have been removed because of their age."""
    query = sa.select(runs.c.rows_leaving_at).where(runs.c.id == run_id)
    with db.read() as connection:
        return connection.execute(query).scalar() is not None


def runs_of_removed(db: Database, image_id: int) -> Sequence[int]:
    """Return the runs that an image without a row may have had, two at most; none if it had no such run.

    Ids grow as photos come in, so they are runs without rows between those of the images before and after it.
    """
    before = sa.select(images.c.run_id).where(images.c.id < image_id).order_by(images.c.id.desc()).limit(1)
    after = sa.select(images.c.run_id).where(images.c.id > image_id).order_by(images.c.id).limit(1)
    first = sa.func.coalesce(before.scalar_subquery(), 0)
    query = (
        sa.select(runs.c.id)
        # Without an image after it, there has never been one with this id.
        .where(runs.c.id >= first, runs.c.id <= after.scalar_subquery(), runs.c.rows_removed_at.is_not(None))
        .order_by(runs.c.id)
        .limit(2)
    )
    with db.read() as connection:
        return connection.execute(query).scalars().all()
