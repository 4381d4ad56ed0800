"""The review queue: images for reviewers. Two reviewers never hold the same image."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa

from returns_pipeline.records.images import LabelSource
from returns_pipeline.records.predictions import Decision
from returns_pipeline.records.reviews import ReviewCounts, ReviewItem, ReviewKind, ReviewScope, WaitingRun
from returns_pipeline.store.clocks import has_ended
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.joins import PREDICTION_OF_RUN, RUNS_WITH_MODEL
from returns_pipeline.store.tables import (
    DONE,
    HELD,
    WAITING,
    images,
    model_versions,
    predictions,
    reviews,
    runs,
)

#: Two multipliers and a prime. The selection of audits and their places in the queue look random and are
#: repeatable.
_CHOOSE, _PLACE, _PRIME = 48_271, 69_621, 1_000_003
#: The scope of the whole queue.
EVERYTHING = ReviewScope()
#: Waiting images are counted up to this number.
MOST_COUNTED = 10_000
#: Of each kind, so many of the newest reviews say how often the model is right.
NEWEST_REVIEWS = 5_000
#: The longest time that an image is held for a reviewer.
MOST_HOLD_SECONDS = 300.0


def enqueue(db: Database, run_id: int, audit_share: float) -> None:
    """Add a run's unsure predictions to the queue, and a sample of `audit_share`, 0 to 1, of the sure ones.

    Slips of returns are left out. May run twice; existing rows keep their place, and get the probability with
    which they were drawn: that of the larger share, if it has changed in between.
    """
    number, threshold = images.c.id, int(audit_share * _PRIME)
    is_doubt = predictions.c.decision == Decision.REVIEW
    is_chosen = (number * _CHOOSE) % _PRIME < threshold
    is_item = images.c.final_source.is_distinct_from(LabelSource.SLIP)
    place = ((number * _PLACE) % _PRIME) / sa.cast(_PRIME, sa.Float)
    found = (
        sa.select(
            number,
            images.c.run_id,
            sa.case((is_doubt, ReviewKind.DOUBT.value), else_=ReviewKind.AUDIT.value),
            sa.case(
                # What the model has never seen comes first, however probable its prediction is.
                (predictions.c.unfamiliar.is_(True), predictions.c.familiarity),
                (is_doubt, predictions.c.probability),
                else_=place,
            ),
            sa.case((is_doubt, 1.0), else_=threshold / _PRIME),
        )
        .select_from(images.join(runs).join(predictions, PREDICTION_OF_RUN))
        .where(images.c.run_id == run_id, sa.or_(is_doubt, is_chosen), is_item)
    )
    with db.write() as connection:
        insert = db.insert(reviews).from_select(["image_id", "run_id", "kind", "rank", "inclusion"], found)
        # An image that a person has put aside before is in the sample too.
        larger = _larger(reviews.c.inclusion, insert.excluded.inclusion)
        connection.execute(
            insert.on_conflict_do_update(index_elements=[reviews.c.image_id], set_={"inclusion": larger})
        )
        share = _larger(runs.c.audit_share, sa.literal(threshold / _PRIME))
        connection.execute(sa.update(runs).where(runs.c.id == run_id).values(audit_share=share))


def _larger(stored: sa.ColumnElement[float], new: sa.ColumnElement[float]) -> sa.ColumnElement[float]:
    """Return the larger one of two shares; `stored` may be NULL."""
    return sa.case((stored >= new, stored), else_=new)


def doubts(db: Database, run_id: int) -> int:
    """Return how many unsure predictions of a run `enqueue` has added."""
    query = sa.select(sa.func.count()).where(reviews.c.run_id == run_id, reviews.c.kind == ReviewKind.DOUBT)
    with db.read() as connection:
        return int(connection.execute(query).scalar_one())


def free_for(who: str, now: datetime) -> sa.ColumnElement[bool]:
    """Condition: the image is not held by another reviewer."""
    has_been = has_ended(reviews.c.held_until, now, MOST_HOLD_SECONDS)
    return sa.or_(reviews.c.held_until.is_(None), has_been, reviews.c.held_by == who)


def in_scope(scope: ReviewScope) -> list[sa.ColumnElement[bool]]:
    """Return the conditions on rows of the queue that are in a scope."""
    found: list[sa.ColumnElement[bool]] = []
    if scope.run_id is not None:
        found.append(reviews.c.run_id == scope.run_id)
    if scope.kind is not None:
        found.append(reviews.c.kind == scope.kind)
    of_run = []
    if scope.intake is not None:
        of_run.append(runs.c.intake == scope.intake)
    if scope.since is not None:
        of_run.append(runs.c.opened_at >= scope.since)
    if scope.until is not None:
        of_run.append(runs.c.opened_at < scope.until)
    if of_run:
        found.append(reviews.c.run_id.in_(sa.select(runs.c.id).where(*of_run)))
    if scope.predicted is not None:
        is_predicted = sa.exists().where(
            predictions.c.image_id == reviews.c.image_id,
            predictions.c.model_version_id == runs.c.model_version_id,
            runs.c.id == reviews.c.run_id,
            predictions.c.label == scope.predicted,
        )
        found.append(is_predicted)
    return found


def take(db: Database, who: str, seconds: float, scope: ReviewScope = EVERYTHING) -> ReviewItem | None:
    """Hold the next image of a scope for a reviewer for `seconds`; None if no image is available.

    An image that the reviewer holds already comes first. No other reviewer gets a held image.
    """
    now = utc_now()
    first = (
        sa.select(reviews.c.image_id)
        .where(WAITING, free_for(who, now), *in_scope(scope))
        .order_by(reviews.c.rank)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    with db.write() as connection:
        # First an image that the reviewer holds, then the first by rank; each query has its own index.
        found = (
            connection.execute(first.where(HELD, is_held_by(who, now))).scalar()
            or connection.execute(first).scalar()
        )
        if found is None:
            return None
        connection.execute(
            sa.update(reviews)
            .where(reviews.c.image_id == found)
            .values(held_by=who, held_until=now + timedelta(seconds=seconds))
        )
        return item_of(connection, int(found))


def is_held_by(who: str, now: datetime) -> sa.ColumnElement[bool]:
    """Condition: the image is held by this reviewer."""
    return sa.and_(reviews.c.held_by == who, reviews.c.held_until >= now)


def held_by_others(db: Database, who: str, scope: ReviewScope = EVERYTHING) -> int:
    """Return how many waiting images of a scope other reviewers hold now."""
    query = sa.select(sa.func.count()).where(WAITING, HELD, ~free_for(who, utc_now()), *in_scope(scope))
    with db.read() as connection:
        return int(connection.execute(query).scalar_one())


def waiting_runs(db: Database, most: int) -> list[WaitingRun]:
    """Return the newest runs with images that wait for a review, newest first."""
    counted = (
        sa.select(reviews.c.run_id, sa.func.count().label("waiting"))
        .where(WAITING)
        .group_by(reviews.c.run_id)
        .order_by(reviews.c.run_id.desc())
        .limit(most)
        .subquery()
    )
    query = (
        sa.select(counted.c.run_id, runs.c.kind, runs.c.opened_at, runs.c.intake, counted.c.waiting)
        .join_from(counted, runs, runs.c.id == counted.c.run_id)
        .order_by(counted.c.run_id.desc())
    )
    with db.read() as connection:
        return [WaitingRun._make(row) for row in connection.execute(query)]


def find(db: Database, image_id: int) -> ReviewItem | None:
    """Return any image, whether or not it is in the queue; None for an unknown id."""
    with db.read() as connection:
        return item_of(connection, image_id)


def find_many(db: Database, image_ids: Iterable[int]) -> dict[int, ReviewItem]:
    """Return some hundred images at most by id, whether or not they are in the queue."""
    with db.read() as connection:
        return items_of(connection, image_ids)


def item_of(connection: sa.Connection, image_id: int) -> ReviewItem | None:
    """Return any image within a transaction; None for an unknown id."""
    return items_of(connection, [image_id]).get(image_id)


def items_of(connection: sa.Connection, image_ids: Iterable[int]) -> dict[int, ReviewItem]:
    """Return some hundred images at most by id, within a transaction."""
    rows = connection.execute(
        sa.select(
            images.c.id,
            images.c.run_id,
            reviews.c.kind,
            images.c.source_path,
            predictions.c.label,
            predictions.c.probability,
            predictions.c.main_label,
            predictions.c.top,
            model_versions.c.name,
            model_versions.c.version,
            images.c.state,
            images.c.review_id,
            sa.func.coalesce(predictions.c.unfamiliar, sa.false()),
        )
        .select_from(
            images.join(RUNS_WITH_MODEL, runs.c.id == images.c.run_id)
            .outerjoin(predictions, PREDICTION_OF_RUN)
            .outerjoin(reviews, reviews.c.image_id == images.c.id)
        )
        .where(images.c.id.in_(list(image_ids)))
    )
    return {
        row.id: ReviewItem._make(row)._replace(kind=ReviewKind(row.kind) if row.kind else None)
        for row in rows
    }


def waiting(db: Database, most: int | None = None) -> int:
    """Return how many images wait for a review, counted up to `most`."""
    some = sa.select(reviews.c.image_id).where(WAITING).limit(most).subquery()
    with db.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one())


def counts(db: Database, most: int = MOST_COUNTED, newest: int = NEWEST_REVIEWS) -> ReviewCounts:
    """Return how many images wait, and how often the model was right in the newest that were reviewed.

    Those that wait are counted up to `most`; the reviews are the `newest` ones of each kind.
    """
    # In order, because PostgreSQL may read the whole table for rows in any order.
    waiting_ones = sa.select(reviews.c.rank).where(WAITING).order_by(reviews.c.rank).limit(most)
    parts: list[sa.Subquery] = [sa.select(sa.func.count()).select_from(waiting_ones.subquery()).subquery()]
    # Images that a person chose say nothing about how often the model is right.
    for kind in (ReviewKind.DOUBT, ReviewKind.AUDIT):
        done = (
            sa.select(reviews.c.was_right)
            .where(DONE, reviews.c.kind == kind)
            .order_by(reviews.c.reviewed_at.desc())
            .limit(newest)
            .subquery()
        )
        right = sa.func.count().filter(done.c.was_right)
        parts.append(sa.select(sa.func.count(), right).select_from(done).subquery())
    query = sa.select(*(column for part in parts for column in part.c))
    source: sa.FromClause = parts[0]
    for part in parts[1:]:
        source = source.join(part, sa.true())
    with db.read() as connection:
        return ReviewCounts(*map(int, connection.execute(query.select_from(source)).one()))
