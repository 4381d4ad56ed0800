"""Reviews: the word of a person on any image, in the queue or not; skipping one, and the undo of both."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from returns_pipeline.errors import ConflictError, NotFoundError
from returns_pipeline.records.images import ImageState
from returns_pipeline.records.reviews import ReviewAction, ReviewItem, ReviewOutcome, Undone, Word
from returns_pipeline.store import corrections, final_labels
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.review_queue import free_for, item_of
from returns_pipeline.store.tables import WAITING, images, review_changes, reviews

#: Added to the rank of a skipped image, so that it comes last.
_LAST = 1.0


def decide(
    db: Database, who: str, image_id: int, word: Word, replaces: int | None = None, batch: str | None = None
) -> ReviewAction:
    """Store a person's word on an image; return ACCEPT if it is the model's label, else CORRECT.

    The same word of the same person again changes nothing. `replaces` is the id of the review that the person
    saw, None for none. Raises ConflictError if another person holds the image or has reviewed it meanwhile.
    """
    with db.write() as connection:
        return _decide(connection, who, image_id, word, replaces, batch)


def _decide(
    connection: sa.Connection,
    who: str,
    image_id: int,
    word: Word,
    replaces: int | None,
    batch: str | None,
) -> ReviewAction:
    # The lock makes two decisions on one image follow each other.
    connection.execute(sa.select(images.c.id).where(images.c.id == image_id).with_for_update())
    item = item_of(connection, image_id)
    if item is None:
        raise NotFoundError("There is no image {image}.", image=image_id)
    if item.state == ImageState.PENDING:
        raise ConflictError(
            "Image {image} is not classified yet.", "Try again when its run is finished.", image=image_id
        )
    is_right = word.outcome == ReviewOutcome.LABEL and word.label == item.label
    action = ReviewAction.ACCEPT if is_right else ReviewAction.CORRECT
    newest = _newest(connection, item.review_id)
    if newest is not None and newest.who == who and (newest.outcome, newest.label) == word[:2]:
        return action
    if newest is not None and newest.who != who and newest.id != replaces:
        raise _ALREADY_REVIEWED
    now, before = utc_now(), corrections.counting(connection, [image_id])
    _leave_queue(connection, who, image_id, word, now, is_right=is_right)
    connection.execute(
        sa.insert(review_changes).values(
            image_id=image_id,
            changed_at=now,
            who=who,
            action=action,
            outcome=word.outcome,
            label=word.label,
            main_label=word.main_label,
            batch=batch,
        )
    )
    final_labels.settle(connection, [image_id])
    corrections.tell(connection, before, who, now)
    return action


_ALREADY_REVIEWED = ConflictError(
    "Another reviewer has reviewed this image, or is reviewing it now.", "Continue with the next image."
)


def _newest(connection: sa.Connection, review_id: int | None) -> Any:
    query = sa.select(
        review_changes.c.id, review_changes.c.who, review_changes.c.outcome, review_changes.c.label
    ).where(review_changes.c.id == review_id)
    return None if review_id is None else connection.execute(query).one()


def _leave_queue(
    connection: sa.Connection, who: str, image_id: int, word: Word, now: datetime, *, is_right: bool
) -> None:
    """Store a word in the queue if the image is in it. Raises ConflictError if another person holds it."""
    is_held = connection.execute(
        sa.select(sa.true()).where(reviews.c.image_id == image_id, WAITING, ~free_for(who, now))
    ).scalar()
    if is_held:
        raise _ALREADY_REVIEWED
    connection.execute(
        sa.update(reviews)
        .where(reviews.c.image_id == image_id)
        .values(
            reviewed_at=now,
            reviewer=who,
            label=word.label,
            main_label=word.main_label,
            was_right=is_right,
            held_by=None,
            held_until=None,
        )
    )


def skip(db: Database, who: str, image_id: int) -> bool:
    """Move an image to the end of the queue; return False if it is not available to this reviewer."""
    now = utc_now()
    with db.write() as connection:
        moved = connection.execute(
            sa.update(reviews)
            .where(reviews.c.image_id == image_id, WAITING, free_for(who, now))
            .values(rank=reviews.c.rank + _LAST, held_by=None, held_until=None)
        )
        if moved.rowcount:
            _add(connection, image_id, who, ReviewAction.SKIP, now)
        return bool(moved.rowcount)


def undo(db: Database, who: str, seconds: float) -> Undone | None:
    """Take back the last action of a person, a skip included; None if there is none.

    Actions of one batch are taken back together. A queued image is held for the person again, for `seconds`.
    """
    standing = (
        review_changes.c.who == who,
        review_changes.c.action != ReviewAction.UNDO,
        final_labels.STANDS,
    )
    columns = (
        review_changes.c.id,
        review_changes.c.image_id,
        review_changes.c.action,
        review_changes.c.batch,
    )
    with db.write() as connection:
        last = connection.execute(
            sa.select(*columns).where(*standing).order_by(review_changes.c.id.desc()).limit(1)
        ).one_or_none()
        if last is None:
            return None
        taken = [last]
        if last.batch is not None:
            is_same = review_changes.c.batch == last.batch
            taken = list(connection.execute(sa.select(*columns).where(*standing, is_same)))
        ids = tuple(int(row.image_id) for row in taken)
        connection.execute(sa.select(images.c.id).where(images.c.id.in_(ids)).with_for_update())
        now, before = utc_now(), corrections.counting(connection, ids)
        for row in taken:
            _add(connection, row.image_id, who, ReviewAction.UNDO, now, undoes=row.id)
        if last.action == ReviewAction.SKIP:
            connection.execute(
                sa.update(reviews)
                .where(reviews.c.image_id.in_(ids), WAITING)
                .values(rank=reviews.c.rank - _LAST)
            )
        else:
            final_labels.settle(connection, ids)
            corrections.tell(connection, before, who, now)
        return Undone(ids, _queue_again(connection, ids, who, now + timedelta(seconds=seconds)))


def _queue_again(
    connection: sa.Connection, image_ids: Sequence[int], who: str, until: datetime
) -> ReviewItem | None:
    """Let the queue show what counts after an undo; return the last image that waits and is held now.

    An image that an earlier review settles does not wait again.
    """
    held = None
    for image_id in image_ids:
        review_id = sa.select(images.c.review_id).where(images.c.id == image_id).scalar_subquery()
        found = connection.execute(
            sa.select(review_changes).where(review_changes.c.id == review_id)
        ).one_or_none()
        values: dict[str, object] = {
            "reviewed_at": found.changed_at if found else None,
            "reviewer": found.who if found else None,
            "label": found.label if found else None,
            "main_label": found.main_label if found else None,
            "was_right": found.action == ReviewAction.ACCEPT if found else None,
            "held_by": None if found else who,
            "held_until": None if found else until,
        }
        is_free = free_for(who, utc_now())
        queued = connection.execute(
            sa.update(reviews).where(reviews.c.image_id == image_id, is_free).values(values)
        )
        if queued.rowcount and found is None:
            held = item_of(connection, image_id)
    return held


def _add(
    connection: sa.Connection,
    image_id: int,
    who: str,
    action: ReviewAction,
    now: datetime,
    undoes: int | None = None,
) -> None:
    """Add an action that gives no label."""
    connection.execute(
        sa.insert(review_changes).values(
            image_id=image_id, changed_at=now, who=who, action=action, outcome=action, undoes=undoes
        )
    )
