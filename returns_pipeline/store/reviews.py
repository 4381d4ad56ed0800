"""The review queue: images for reviewers, and their reviews. Two reviewers never hold the same image."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from returns_pipeline.errors import ConflictError
from returns_pipeline.records.predictions import Decision
from returns_pipeline.records.reviews import ReviewAction, ReviewCounts, ReviewItem, ReviewKind
from returns_pipeline.store.clocks import has_ended
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.joins import PREDICTION_OF_RUN, RUNS_WITH_MODEL
from returns_pipeline.store.tables import (
    HELD,
    WAITING,
    images,
    model_versions,
    predictions,
    review_changes,
    reviews,
    runs,
)

#: Two multipliers and a prime. The selection of audits and their places in the queue look random and are
#: repeatable.
_CHOOSE, _PLACE, _PRIME = 48_271, 69_621, 1_000_003
#: The longest time that an image is held for a reviewer.
MOST_HOLD_SECONDS = 300.0
#: Added to the rank of a skipped image, so that it comes last.
_LAST = 1.0


def enqueue(db: Database, run_id: int, audit_share: float) -> None:
    """Add a run's unsure predictions to the queue, and a sample of `audit_share`, 0 to 1, of the sure ones.

    May run twice; existing rows stay as they are.
    """
    number = images.c.id
    is_doubt = predictions.c.decision == Decision.REVIEW
    is_chosen = (number * _CHOOSE) % _PRIME < int(audit_share * _PRIME)
    place = ((number * _PLACE) % _PRIME) / sa.cast(_PRIME, sa.Float)
    found = (
        sa.select(
            number,
            images.c.run_id,
            sa.case((is_doubt, ReviewKind.DOUBT.value), else_=ReviewKind.AUDIT.value),
            sa.case((is_doubt, predictions.c.probability), else_=place),
        )
        .select_from(images.join(runs).join(predictions, PREDICTION_OF_RUN))
        .where(images.c.run_id == run_id, sa.or_(is_doubt, is_chosen))
    )
    with db.write() as connection:
        connection.execute(
            db.insert(reviews)
            .from_select(["image_id", "run_id", "kind", "rank"], found)
            .on_conflict_do_nothing(index_elements=[reviews.c.image_id])
        )


def _free_for(who: str, now: datetime) -> sa.ColumnElement[bool]:
    """Condition: the image is not held by another reviewer."""
    has_been = has_ended(reviews.c.held_until, now, MOST_HOLD_SECONDS)
    return sa.or_(reviews.c.held_until.is_(None), has_been, reviews.c.held_by == who)


def take(db: Database, who: str, seconds: float) -> ReviewItem | None:
    """Hold the next image for a reviewer for `seconds`; None if no image is available.

    An image that the reviewer holds already comes first. No other reviewer gets a held image.
    """
    now = utc_now()
    first = (
        sa.select(reviews.c.image_id)
        .where(WAITING, _free_for(who, now))
        .order_by(reviews.c.rank)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    is_held_by_them = sa.and_(reviews.c.held_by == who, reviews.c.held_until >= now)
    with db.write() as connection:
        # First an image that the reviewer holds, then the first by rank; each query has its own index.
        found = (
            connection.execute(first.where(HELD, is_held_by_them)).scalar()
            or connection.execute(first).scalar()
        )
        if found is None:
            return None
        connection.execute(
            sa.update(reviews)
            .where(reviews.c.image_id == found)
            .values(held_by=who, held_until=now + timedelta(seconds=seconds))
        )
        return _item(connection, int(found))


def find(db: Database, image_id: int) -> ReviewItem | None:
    """Return an image of the queue; None if it does not wait for a review."""
    query = sa.select(reviews.c.image_id).where(reviews.c.image_id == image_id, WAITING)
    with db.read() as connection:
        found = connection.execute(query).scalar()
        return _item(connection, image_id) if found is not None else None


def _item(connection: sa.Connection, image_id: int) -> ReviewItem:
    row = connection.execute(
        sa.select(
            reviews.c.image_id,
            reviews.c.run_id,
            reviews.c.kind,
            images.c.source_path,
            predictions.c.label,
            predictions.c.probability,
            predictions.c.main_label,
            predictions.c.top,
            model_versions.c.name,
            model_versions.c.version,
        )
        .select_from(
            reviews.join(images, images.c.id == reviews.c.image_id)
            .join(RUNS_WITH_MODEL, runs.c.id == reviews.c.run_id)
            .join(predictions, PREDICTION_OF_RUN)
        )
        .where(reviews.c.image_id == image_id)
    ).one()
    return ReviewItem._make(row)._replace(kind=ReviewKind(row.kind))


def decide(db: Database, who: str, image_id: int, label: str, main_label: str) -> ReviewAction:
    """Store a reviewer's label for an image; return ACCEPT if it is the model's label, else CORRECT.

    Raises ConflictError if another reviewer has reviewed the image or holds it.
    """
    now = utc_now()
    with db.write() as connection:
        predicted = (
            sa.select(predictions.c.label)
            .join(
                runs,
                sa.and_(
                    runs.c.id == reviews.c.run_id,
                    predictions.c.model_version_id == runs.c.model_version_id,
                ),
            )
            .where(predictions.c.image_id == image_id)
            .correlate(reviews)
            .scalar_subquery()
        )
        decided = connection.execute(
            sa.update(reviews)
            .where(reviews.c.image_id == image_id, WAITING, _free_for(who, now))
            .values(
                reviewed_at=now,
                reviewer=who,
                label=label,
                main_label=main_label,
                was_right=predicted == label,
                held_by=None,
                held_until=None,
            )
            .returning(reviews.c.was_right)
        ).one_or_none()
        if decided is None:
            raise ConflictError(
                "Another reviewer has reviewed this image, or is reviewing it now.",
                "Continue with the next image.",
            )
        action = ReviewAction.ACCEPT if decided.was_right else ReviewAction.CORRECT
        _record(connection, image_id, who, action, label)
        return action


def skip(db: Database, who: str, image_id: int) -> bool:
    """Move an image to the end of the queue; return False if it is not available to this reviewer."""
    with db.write() as connection:
        moved = connection.execute(
            sa.update(reviews)
            .where(reviews.c.image_id == image_id, WAITING, _free_for(who, utc_now()))
            .values(rank=reviews.c.rank + _LAST, held_by=None, held_until=None)
        )
        if moved.rowcount:
            _record(connection, image_id, who, ReviewAction.SKIP, None)
        return bool(moved.rowcount)


def undo(db: Database, who: str, seconds: float) -> ReviewItem | None:
    """Undo a reviewer's newest valid review and hold the image for them again; None if there is none."""
    with db.write() as connection:
        newest = connection.execute(
            sa.select(review_changes.c.image_id)
            .join(reviews, reviews.c.image_id == review_changes.c.image_id)
            .where(
                review_changes.c.who == who,
                reviews.c.reviewer == who,
                reviews.c.reviewed_at == review_changes.c.changed_at,
            )
            .order_by(review_changes.c.id.desc())
            .limit(1)
            .with_for_update(of=reviews)
        ).scalar()
        if newest is None:
            return None
        connection.execute(
            sa.update(reviews)
            .where(reviews.c.image_id == newest)
            .values(
                reviewed_at=None,
                reviewer=None,
                label=None,
                main_label=None,
                was_right=None,
                held_by=who,
                held_until=utc_now() + timedelta(seconds=seconds),
            )
        )
        _record(connection, int(newest), who, ReviewAction.UNDO, None)
        return _item(connection, int(newest))


def labels_of_run(db: Database, run_id: int) -> dict[int, tuple[str, str]]:
    """Return (label, reviewer) of each reviewed image of a run, by image id."""
    query = sa.select(reviews.c.image_id, reviews.c.label, reviews.c.reviewer).where(
        reviews.c.run_id == run_id, reviews.c.reviewed_at.is_not(None)
    )
    with db.read() as connection:
        return {row.image_id: (row.label, row.reviewer) for row in connection.execute(query)}


def waiting(db: Database, most: int | None = None) -> int:
    """Return how many images wait for a review, counted up to `most`."""
    some = sa.select(reviews.c.image_id).where(WAITING).limit(most).subquery()
    with db.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one())


def counts(db: Database) -> ReviewCounts:
    """Return how many images wait, and how often the model was right in those that were reviewed."""
    done = reviews.c.reviewed_at.is_not(None)
    audit = reviews.c.kind == ReviewKind.AUDIT
    right = reviews.c.was_right.is_(True)

    def count(*conditions: Any) -> Any:
        return sa.func.count().filter(sa.and_(*conditions))

    with db.read() as connection:
        row = connection.execute(
            sa.select(
                count(done, ~audit), count(done, ~audit, right), count(done, audit), count(done, audit, right)
            ).select_from(reviews)
        ).one()
    return ReviewCounts(waiting(db), *map(int, row))


def _record(
    connection: sa.Connection, image_id: int, who: str, action: ReviewAction, label: str | None
) -> None:
    # The moment of the review itself, because an undo finds the review by it.
    moment = sa.select(reviews.c.reviewed_at).where(reviews.c.image_id == image_id).scalar_subquery()
    connection.execute(
        sa.insert(review_changes).values(
            image_id=image_id,
            changed_at=sa.func.coalesce(moment, sa.bindparam("now", utc_now(), reviews.c.reviewed_at.type)),
            who=who,
            action=action,
            label=label,
        )
    )
