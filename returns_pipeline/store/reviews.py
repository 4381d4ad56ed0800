"""Reviews: the word of a person on any image, in the queue or not; skipping one, and the undo of both."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from returns_pipeline.errors import ConflictError, GoneError, NotFoundError, RefusedError
from returns_pipeline.records.images import ImageState
from returns_pipeline.records.reviews import (
    BatchCounts,
    Judgement,
    ReviewAction,
    ReviewItem,
    ReviewKind,
    ReviewOutcome,
    Undone,
    Word,
)
from returns_pipeline.store import corrections, final_labels
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.review_queue import MOST_HOLD_SECONDS, free_for, item_of, items_of
from returns_pipeline.store.tables import IN_BATCH, WAITING, images, review_changes, reviews

#: Added to the rank of a skipped image, so that it comes last. Ranks before that are at most 1.
LAST = 1.0


def decide(
    db: Database, who: str, image_id: int, word: Word, replaces: int | None = None, batch: str | None = None
) -> ReviewAction:
    """Store a person's word on an image; return ACCEPT if it is the model's label, else CORRECT.

    The same word of the same person again changes nothing. `replaces` is the id of the review that the person
    saw, None for none. Raises ConflictError if another person holds the image or has reviewed it meanwhile.
    """
    (result,) = decide_many(db, who, [Judgement(image_id, word, replaces)], batch)
    if isinstance(result, RefusedError):
        raise result
    return result


def decide_many(
    db: Database,
    who: str,
    judgements: Sequence[Judgement],
    batch: str | None = None,
    seconds: float = MOST_HOLD_SECONDS,
) -> list[ReviewAction | RefusedError]:
    """Store a person's words on some hundred images at most, in one transaction; return the result of each.

    A result is ACCEPT, CORRECT, SKIP for an image that is put aside, or the reason of a refusal. An image
    that is put aside waits in the queue for a review of its own, held for the person for `seconds`; from then
    on `review_grid` leaves it out. Actions with the same `batch` are taken back together.
    """
    with db.write() as connection:
        standing = _Standing(connection, who, [each.image_id for each in judgements])
        results = [standing.action(each) for each in judgements]
        new = [
            (each, result)
            for each, result in zip(judgements, results, strict=True)
            if isinstance(result, ReviewAction) and not standing.repeats(each)
        ]
        if new:
            now = utc_now()
            until = now + timedelta(seconds=seconds)
            before = corrections.counting(connection, [each.image_id for each, _ in new])
            aside = [each.image_id for each, action in new if action == ReviewAction.SKIP]
            _put_aside(db, connection, who, aside, until)
            _add_all(connection, who, new, batch)
            corrections.tell(connection, before, who, now)
        return results


class _Standing:
    """What stands for some images now: locked until the end of the transaction."""

    def __init__(self, connection: sa.Connection, who: str, image_ids: Sequence[int]) -> None:
        """Lock and read the images. All transactions lock in the same order, so that none waits for ever."""
        ids = sorted(set(image_ids))
        self._who = who
        these = images.c.id.in_(ids)
        connection.execute(sa.select(images.c.id).where(these).order_by(images.c.id).with_for_update())
        self._items = items_of(connection, ids)
        deleted = sa.select(images.c.id).where(these, images.c.deleted_at.is_not(None))
        self._deleted = set(connection.execute(deleted).scalars())
        newest = sa.select(review_changes).where(
            review_changes.c.id.in_(sa.select(images.c.review_id).where(these))
        )
        self._newest = {row.image_id: row for row in connection.execute(newest)}
        held = sa.select(reviews.c.image_id).where(
            reviews.c.image_id.in_(ids), WAITING, ~free_for(who, utc_now())
        )
        self._held = set(connection.execute(held).scalars())
        self._seen: set[int] = set()

    def action(self, judgement: Judgement) -> ReviewAction | RefusedError:
        """Return what a judgement does, or why it is refused."""
        image_id, word = judgement.image_id, judgement.word
        item, newest = self._items.get(image_id), self._newest.get(image_id)
        if item is None:
            return NotFoundError("There is no image {image}.", image=image_id)
        if image_id in self._deleted:
            return GoneError("Image {image} was deleted.", image=image_id)
        if image_id in self._seen:
            return ConflictError("Image {image} is named twice.", "Name each image once.", image=image_id)
        self._seen.add(image_id)
        if item.state == ImageState.PENDING:
            return ConflictError(
                "Image {image} is not classified yet.", "Try again when its run is finished.", image=image_id
            )
        if not self.repeats(judgement):
            is_of_another = newest is not None and newest.who != self._who and newest.id != judgement.replaces
            if is_of_another or image_id in self._held or (word is None and newest is not None):
                return _ALREADY_REVIEWED
        if word is None:
            return ReviewAction.SKIP
        is_right = word.outcome == ReviewOutcome.LABEL and word.label == item.label
        return ReviewAction.ACCEPT if is_right else ReviewAction.CORRECT

    def repeats(self, judgement: Judgement) -> bool:
        """Whether the newest review of the image is the same word of the same person."""
        newest, word = self._newest.get(judgement.image_id), judgement.word
        if newest is None or word is None:
            return False
        return newest.who == self._who and (newest.outcome, newest.label) == (word.outcome, word.label)


#: The actions of BatchCounts, in the order of its fields.
_OF_A_BATCH = (ReviewAction.ACCEPT, ReviewAction.CORRECT, ReviewAction.SKIP)

_ALREADY_REVIEWED = ConflictError(
    "Another reviewer has reviewed this image, or is reviewing it now.", "Continue with the next image."
)


def _add_all(
    connection: sa.Connection,
    who: str,
    new: Sequence[tuple[Judgement, ReviewAction]],
    batch: str | None,
) -> None:
    """Add actions, store the words in the queue, and write the final labels."""
    now = utc_now()
    connection.execute(
        sa.insert(review_changes),
        [
            {
                "image_id": each.image_id,
                "changed_at": now,
                "who": who,
                "action": action,
                "outcome": each.word.outcome if each.word else action,
                "label": each.word.label if each.word else None,
                "main_label": each.word.main_label if each.word else None,
                "batch": batch,
            }
            for each, action in new
        ],
    )
    decided = [(each.image_id, each.word, action) for each, action in new if each.word is not None]
    if not decided:
        return
    connection.execute(
        sa.update(reviews)
        .where(reviews.c.image_id == sa.bindparam("of_image"))
        .values(reviewed_at=now, reviewer=who, held_by=None, held_until=None),
        [
            {
                "of_image": image_id,
                "label": word.label,
                "main_label": word.main_label,
                "was_right": action == ReviewAction.ACCEPT,
            }
            for image_id, word, action in decided
        ],
    )
    final_labels.settle(connection, [image_id for image_id, _, _ in decided])


def _put_aside(
    db: Database, connection: sa.Connection, who: str, image_ids: Sequence[int], until: datetime
) -> None:
    """Move images to the end of the queue, held for a person; add those that are not in it."""
    if not image_ids:
        return
    marked = sa.select(
        images.c.id, images.c.run_id, sa.literal(ReviewKind.MARKED.value), sa.literal(0.0)
    ).where(images.c.id.in_(image_ids))
    connection.execute(
        db.insert(reviews)
        .from_select(["image_id", "run_id", "kind", "rank"], marked)
        .on_conflict_do_nothing(index_elements=[reviews.c.image_id])
    )
    connection.execute(
        sa.update(reviews)
        .where(reviews.c.image_id.in_(image_ids), WAITING)
        .values(rank=reviews.c.rank + LAST, held_by=who, held_until=until)
    )


def skip(db: Database, who: str, image_id: int) -> bool:
    """Move an image to the end of the queue; return False if it is not available to this reviewer."""
    now = utc_now()
    with db.write() as connection:
        moved = connection.execute(
            sa.update(reviews)
            .where(reviews.c.image_id == image_id, WAITING, free_for(who, now))
            .values(rank=reviews.c.rank + LAST, held_by=None, held_until=None)
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
        # An action on a deleted image cannot be taken back.
        ~sa.exists().where(images.c.id == review_changes.c.image_id, images.c.deleted_at.is_not(None)),
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
            taken = list(connection.execute(sa.select(*columns).where(IN_BATCH, is_same, *standing)))
        ids = tuple(int(row.image_id) for row in taken)
        skipped = [row.image_id for row in taken if row.action == ReviewAction.SKIP]
        connection.execute(sa.select(images.c.id).where(images.c.id.in_(ids)).with_for_update())
        now, before = utc_now(), corrections.counting(connection, ids)
        connection.execute(
            sa.insert(review_changes),
            [_action(row.image_id, who, ReviewAction.UNDO, now, undoes=row.id) for row in taken],
        )
        if skipped:
            _take_back_skips(connection, skipped)
        decided = [row.image_id for row in taken if row.action != ReviewAction.SKIP]
        final_labels.settle(connection, decided)
        corrections.tell(connection, before, who, now)
        return Undone(ids, _queue_again(connection, ids, who, now + timedelta(seconds=seconds)))


def _take_back_skips(connection: sa.Connection, image_ids: Sequence[int]) -> None:
    """Give skipped images their earlier places; remove those that are in the queue only by this action."""
    these = reviews.c.image_id.in_(image_ids)
    connection.execute(sa.update(reviews).where(these, WAITING).values(rank=reviews.c.rank - LAST))
    was_added = sa.and_(reviews.c.kind == ReviewKind.MARKED, reviews.c.rank < LAST)
    connection.execute(sa.delete(reviews).where(these, WAITING, was_added))


def _queue_again(
    connection: sa.Connection, image_ids: Sequence[int], who: str, until: datetime
) -> ReviewItem | None:
    """Let the queue show what counts after an undo; return the last image that waits and is held now.

    An image that an earlier review settles does not wait again.
    """
    of_queue = reviews.join(images, images.c.id == reviews.c.image_id).outerjoin(
        review_changes, review_changes.c.id == images.c.review_id
    )
    columns = (
        review_changes.c.changed_at,
        review_changes.c.who,
        review_changes.c.label,
        review_changes.c.main_label,
        review_changes.c.action,
    )
    is_free = free_for(who, utc_now())
    queued = connection.execute(
        sa.select(reviews.c.image_id, *columns)
        .select_from(of_queue)
        .where(reviews.c.image_id.in_(image_ids), is_free)
    ).all()
    if not queued:
        return None
    connection.execute(
        # Another person may take one meanwhile.
        sa.update(reviews).where(reviews.c.image_id == sa.bindparam("of_image"), is_free),
        [
            {
                "of_image": row.image_id,
                "reviewed_at": row.changed_at,
                "reviewer": row.who,
                "label": row.label,
                "main_label": row.main_label,
                "was_right": row.action == ReviewAction.ACCEPT if row.action else None,
                "held_by": None if row.action else who,
                "held_until": None if row.action else until,
            }
            for row in queued
        ],
    )
    waiting = {row.image_id for row in queued if row.action is None}
    last = next((image_id for image_id in reversed(image_ids) if image_id in waiting), None)
    return None if last is None else item_of(connection, last)


def _add(connection: sa.Connection, image_id: int, who: str, action: ReviewAction, now: datetime) -> None:
    """Add an action that gives no label."""
    connection.execute(sa.insert(review_changes).values(_action(image_id, who, action, now)))


def _action(
    image_id: int, who: str, action: ReviewAction, now: datetime, undoes: int | None = None
) -> dict[str, object]:
    """Return the row of an action that gives no label."""
    return {
        "image_id": image_id,
        "changed_at": now,
        "who": who,
        "action": action,
        "outcome": action,
        "undoes": undoes,
    }


def last_batch(db: Database, who: str, batch: str) -> BatchCounts | None:
    """Return what a person did in a batch; None unless it is their last action, and was not taken back."""
    newest = (
        sa.select(review_changes.c.batch)
        .where(review_changes.c.who == who)
        .order_by(review_changes.c.id.desc())
        .limit(1)
    )
    query = (
        sa.select(review_changes.c.action, sa.func.count())
        .where(IN_BATCH, review_changes.c.batch == batch, review_changes.c.who == who)
        .group_by(review_changes.c.action)
    )
    with db.read() as connection:
        if connection.execute(newest).scalar() != batch:
            return None
        found = {str(action): int(count) for action, count in connection.execute(query)}
    return BatchCounts(*(found.get(each, 0) for each in _OF_A_BATCH))
