"""What a person should look at, one image at a time, and what was said. Two people never get the same one."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from returns_pipeline.errors import ConflictError
from returns_pipeline.records.predictions import Decision
from returns_pipeline.records.reviews import ReviewAction, ReviewCounts, ReviewItem
from returns_pipeline.store.database import Database, utc_now
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

#: Two multipliers and a prime: which sure answers are audited, and when, looks random and is repeatable.
_CHOOSE, _PLACE, _PRIME = 48_271, 69_621, 1_000_003
#: Added to the rank of what was skipped: it comes last.
_LAST = 1.0


def enqueue(db: Database, run_id: int, audit_share: float) -> None:
    """Put a run's unsure answers into the queue, and a sample of `audit_share` of its sure ones among them.

    May be repeated: what is there stays as it is.
    """
    number = images.c.id
    is_doubt = predictions.c.decision == Decision.REVIEW
    is_chosen = (number * _CHOOSE) % _PRIME < int(audit_share * _PRIME)
    place = ((number * _PLACE) % _PRIME) / sa.cast(_PRIME, sa.Float)
    found = (
        sa.select(
            number,
            images.c.run_id,
            sa.case((is_doubt, "doubt"), else_="audit"),
            sa.case((is_doubt, predictions.c.probability), else_=place),
        )
        .select_from(images.join(runs).join(predictions, predictions.c.image_id == images.c.id))
        .where(
            images.c.run_id == run_id,
            predictions.c.model_version_id == runs.c.model_version_id,
            sa.or_(is_doubt, is_chosen),
        )
    )
    with db.write() as connection:
        connection.execute(
            db.insert(reviews)
            .from_select(["image_id", "run_id", "kind", "rank"], found)
            .on_conflict_do_nothing(index_elements=[reviews.c.image_id])
        )


def _free_for(who: str, now: datetime) -> sa.ColumnElement[bool]:
    """Say of an image that nobody else looks at it."""
    return sa.or_(reviews.c.held_until.is_(None), reviews.c.held_until < now, reviews.c.held_by == who)


def take(db: Database, who: str, seconds: float) -> ReviewItem | None:
    """Hold the next image for somebody; None when there is none to be had.

    What they hold already comes first. Nobody else gets it for `seconds`.
    """
    now = utc_now()
    first = (
        sa.select(reviews.c.image_id)
        .where(WAITING, _free_for(who, now))
        .order_by(reviews.c.rank)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    is_theirs = sa.and_(reviews.c.held_by == who, reviews.c.held_until >= now)
    with db.write() as connection:
        # What they hold first; then the first by rank, of which the index knows.
        found = (
            connection.execute(first.where(HELD, is_theirs)).scalar() or connection.execute(first).scalar()
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
    """Return an image that waits for a person; None when it does not."""
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
            .join(runs, runs.c.id == reviews.c.run_id)
            .join(model_versions)
            .join(
                predictions,
                sa.and_(
                    predictions.c.image_id == reviews.c.image_id,
                    predictions.c.model_version_id == runs.c.model_version_id,
                ),
            )
        )
        .where(reviews.c.image_id == image_id)
    ).one()
    return ReviewItem._make(row)


def decide(db: Database, who: str, image_id: int, label: str, main_label: str) -> ReviewAction:
    """Store what somebody says an image is; return whether the model was right.

    Raises ConflictError when somebody else has reviewed it or looks at it now.
    """
    now = utc_now()
    with db.write() as connection:
        answered = (
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
                was_right=answered == label,
                held_by=None,
                held_until=None,
            )
            .returning(reviews.c.was_right)
        ).one_or_none()
        if decided is None:
            raise ConflictError(
                "Somebody else has reviewed this image meanwhile, or looks at it now.", "Go on with the next."
            )
        action = ReviewAction.ACCEPT if decided.was_right else ReviewAction.CORRECT
        _remember(connection, image_id, who, action, label)
        return action


def skip(db: Database, who: str, image_id: int) -> bool:
    """Put an image at the end of the queue; return whether it was there for whoever asks."""
    with db.write() as connection:
        moved = connection.execute(
            sa.update(reviews)
            .where(reviews.c.image_id == image_id, WAITING, _free_for(who, utc_now()))
            .values(rank=reviews.c.rank + _LAST, held_by=None, held_until=None)
        )
        if moved.rowcount:
            _remember(connection, image_id, who, ReviewAction.SKIP, None)
        return bool(moved.rowcount)


def undo(db: Database, who: str, seconds: float) -> ReviewItem | None:
    """Take back the newest review of somebody that still stands, and hold the image for them again."""
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
        _remember(connection, int(newest), who, ReviewAction.UNDO, None)
        return _item(connection, int(newest))


def labels_of_run(db: Database, run_id: int) -> dict[int, tuple[str, str]]:
    """Return (label, reviewer) of each reviewed image of a run, by image id."""
    query = sa.select(reviews.c.image_id, reviews.c.label, reviews.c.reviewer).where(
        reviews.c.run_id == run_id, reviews.c.reviewed_at.is_not(None)
    )
    with db.read() as connection:
        return {row.image_id: (row.label, row.reviewer) for row in connection.execute(query)}


def waiting(db: Database, most: int | None = None) -> int:
    """Return how many images wait for a person, counted up to `most`."""
    some = sa.select(reviews.c.image_id).where(WAITING).limit(most).subquery()
    with db.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one())


def counts(db: Database) -> ReviewCounts:
    """Return how much waits, and how often the model was right in what is done."""
    done = reviews.c.reviewed_at.is_not(None)
    audit = reviews.c.kind == "audit"
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


def _remember(
    connection: sa.Connection, image_id: int, who: str, action: ReviewAction, label: str | None
) -> None:
    # The review's own moment, by which an undo finds it.
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
