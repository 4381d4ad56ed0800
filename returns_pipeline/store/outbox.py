"""The outbox: a notice in the transaction of its cause, and its deliveries.

A process that sends a delivery holds it by a lease, so that no other process sends it too. If the process
dies after sending and before recording that, the delivery is sent again: at least once.
"""

import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from returns_pipeline.records.notices import (
    Delivery,
    DeliveryCounts,
    Notice,
    NoticeKind,
    Recipient,
    StoredNotice,
)
from returns_pipeline.store.clocks import has_ended
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import GIVEN_UP, NOT_SPREAD, UNDELIVERED, deliveries, outbox

#: The longest pause between two attempts, in seconds. A later moment is from a clock that was set back.
LONGEST_PAUSE = 8 * 3600.0
#: Seconds for which one process holds a delivery: more than any channel takes.
LEASE_SECONDS = 120.0
#: Most notices that get their deliveries in one transaction.
_AT_ONCE = 200


def add(connection: sa.Connection, notices: Iterable[Notice]) -> None:
    """Add notices within the transaction of their causes. A cause that was told before adds nothing."""
    now = utc_now()
    rows = [
        {
            "uid": new_uid(),
            "cause": notice.cause,
            "kind": notice.kind,
            "created_at": now,
            "text": notice.text,
            "data": notice.data,
        }
        for notice in notices
    ]
    if rows:
        insert: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        connection.execute(insert(outbox).on_conflict_do_nothing(index_elements=[outbox.c.cause]), rows)


def new_uid() -> str:
    """Return the id of a new notice."""
    return f"msg_{uuid.uuid4().hex}"


def add_alone(db: Database, notices: Sequence[Notice]) -> None:
    """Add notices whose cause is a state and no change, if they were not told before."""
    causes = [notice.cause for notice in notices]
    if not causes:
        return
    with db.read() as connection:
        told = set(connection.execute(sa.select(outbox.c.cause).where(outbox.c.cause.in_(causes))).scalars())
    # The sweep finds the same states every minute: without a new one, nothing is written.
    new = [notice for notice in notices if notice.cause not in told]
    if new:
        with db.write() as connection:
            add(connection, new)


def find(db: Database, cause: str) -> StoredNotice | None:
    """Return the notice of a cause, or None if it was not told."""
    with db.read() as connection:
        row = connection.execute(sa.select(*_NOTICE).where(outbox.c.cause == cause)).one_or_none()
    return _notice(row) if row else None


def spread(db: Database, recipients: Sequence[Recipient], kinds: Collection[str], now: datetime) -> None:
    """Add the deliveries of new notices of `kinds` to every recipient, due at `now`. May run twice."""
    with db.read() as connection:
        if connection.execute(sa.select(outbox.c.id).where(NOT_SPREAD).limit(1)).first() is None:
            return
    while True:
        with db.write() as connection:
            found = connection.execute(
                sa.select(outbox.c.id, outbox.c.kind)
                .where(NOT_SPREAD)
                .order_by(outbox.c.id)
                .limit(_AT_ONCE)
                .with_for_update(skip_locked=True)
            ).all()
            rows = [
                {"notice_id": row.id, "next_attempt_at": now, **each._asdict()}
                for row in found
                if row.kind in kinds
                for each in recipients
            ]
            if rows:
                connection.execute(
                    db.insert(deliveries).on_conflict_do_nothing(
                        index_elements=[deliveries.c.notice_id, deliveries.c.target]
                    ),
                    rows,
                )
            ids = [row.id for row in found]
            connection.execute(sa.update(outbox).where(outbox.c.id.in_(ids)).values(spread_at=now))
        if len(found) < _AT_ONCE:
            return


def has_work(db: Database, now: datetime) -> bool:
    """Whether a notice has no deliveries yet, or a delivery is due."""
    is_new = sa.exists().where(NOT_SPREAD).select_from(outbox)
    is_due = sa.exists().where(UNDELIVERED, _is_due(now)).select_from(deliveries)
    with db.read() as connection:
        return bool(connection.execute(sa.select(sa.or_(is_new, is_due))).scalar())


def claim(
    db: Database, now: datetime, pauses: Sequence[float], skipped: Collection[str] = ()
) -> Delivery | None:
    """Hold the oldest due delivery and return it; None if no delivery is due. Counts an attempt.

    If this process dies before it records an answer, the next attempt is after the attempt's one of `pauses`,
    in seconds. Deliveries to the targets in `skipped` are left out.
    """
    due = (
        sa.select(deliveries.c.id, deliveries.c.attempts)
        .where(UNDELIVERED, _is_due(now), deliveries.c.target.not_in(skipped))
        .order_by(deliveries.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    with db.write() as connection:
        found = connection.execute(due).one_or_none()
        if found is None:
            return None
        pause = pauses[min(found.attempts, len(pauses) - 1)]
        is_this = deliveries.c.id == found.id
        connection.execute(
            sa.update(deliveries)
            .where(is_this)
            .values(
                attempts=deliveries.c.attempts + 1,
                next_attempt_at=now + timedelta(seconds=pause),
                leased_until=now + timedelta(seconds=LEASE_SECONDS),
            )
        )
        return _delivery(connection.execute(_DELIVERIES.where(is_this)).one())


def mark_delivered(db: Database, held: Delivery, now: datetime) -> None:
    """Record that a receiver took a delivery. What else waits for the same receiver is due now."""
    with db.write() as connection:
        _lock_target(connection, held)
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == held.id)
            .values(delivered_at=now, given_up_at=None, leased_until=None, last_error=None)
        )
        connection.execute(
            sa.update(deliveries)
            .where(
                UNDELIVERED,
                deliveries.c.target == held.recipient.target,
                deliveries.c.next_attempt_at > now,
            )
            .values(next_attempt_at=now)
        )


def _lock_target(connection: sa.Connection, held: Delivery) -> None:
    """Lock the deliveries to a receiver in the order of their ids, so that two processes never deadlock."""
    connection.execute(
        sa.select(deliveries.c.id)
        .where(
            sa.or_(
                deliveries.c.id == held.id, sa.and_(UNDELIVERED, deliveries.c.target == held.recipient.target)
            )
        )
        .order_by(deliveries.c.id)
        .with_for_update()
    )


def mark_failed(db: Database, held: Delivery, error: str, now: datetime, pause: float | None) -> None:
    """Record a failed attempt: the next one is in `pause` seconds; None gives up.

    All deliveries to the same receiver wait as long, so that a receiver that is away gets one request, not
    one for each notice. Does nothing if another process holds the delivery by now.
    """
    values: dict[str, object] = {"last_error": error, "leased_until": None}
    again = now + timedelta(seconds=pause or 0)
    values |= {"given_up_at": now} if pause is None else {"next_attempt_at": again}
    with db.write() as connection:
        _lock_target(connection, held)
        changed = connection.execute(
            sa.update(deliveries)
            .where(UNDELIVERED, deliveries.c.id == held.id, deliveries.c.attempts == held.attempts)
            .values(values)
        )
        if changed.rowcount and pause is not None:
            connection.execute(
                sa.update(deliveries)
                .where(
                    UNDELIVERED,
                    deliveries.c.target == held.recipient.target,
                    deliveries.c.next_attempt_at < again,
                )
                .values(next_attempt_at=again)
            )


def try_again(db: Database) -> int:
    """Make all undelivered deliveries due now, also those that were given up; return how many."""
    now = utc_now()
    with db.write() as connection:
        count = 0
        for condition in (GIVEN_UP, UNDELIVERED):
            changed = connection.execute(
                sa.update(deliveries)
                .where(condition, deliveries.c.attempts > 0)
                .values(given_up_at=None, attempts=0, next_attempt_at=now)
            )
            count += changed.rowcount
        return count


def counts(db: Database) -> DeliveryCounts:
    """Return how many deliveries have failed."""
    count = sa.func.count()
    failing = (
        sa.select(count).select_from(deliveries).where(UNDELIVERED, deliveries.c.last_error.is_not(None))
    )
    given_up = sa.select(count).select_from(deliveries).where(GIVEN_UP)
    with db.read() as connection:
        return DeliveryCounts(
            int(connection.execute(failing).scalar_one()), int(connection.execute(given_up).scalar_one())
        )


def undelivered(db: Database, limit: int) -> list[Delivery]:
    """Return the newest deliveries that wait or were given up, newest first."""
    found: list[Delivery] = []
    with db.read() as connection:
        for condition in (UNDELIVERED, GIVEN_UP):
            query = _DELIVERIES.where(condition).order_by(deliveries.c.id.desc()).limit(limit)
            found += map(_delivery, connection.execute(query))
    return sorted(found, key=lambda each: -each.id)[:limit]


def latest(db: Database, limit: int, before: int | None = None) -> list[tuple[StoredNotice, list[Delivery]]]:
    """Return the newest notices with their deliveries, newest first; with `before`, only smaller ids."""
    query = sa.select(*_NOTICE) if before is None else sa.select(*_NOTICE).where(outbox.c.id < before)
    with db.read() as connection:
        found = [_notice(row) for row in connection.execute(query.order_by(outbox.c.id.desc()).limit(limit))]
        ids = [notice.id for notice in found]
        rows = connection.execute(
            _DELIVERIES.where(deliveries.c.notice_id.in_(ids)).order_by(deliveries.c.id)
        ).all()
    of_notice: dict[int, list[Delivery]] = {each: [] for each in ids}
    for row in rows:
        of_notice[row.notice_id].append(_delivery(row))
    return [(notice, of_notice[notice.id]) for notice in found]


def delete_older(db: Database, before: datetime) -> None:
    """Delete some of the notices from before a moment, with their deliveries."""
    old = sa.select(outbox.c.id).where(outbox.c.created_at < before).limit(_AT_ONCE)
    with db.read() as connection:
        ids = list(connection.execute(old).scalars())
    if ids:
        with db.write() as connection:
            connection.execute(sa.delete(deliveries).where(deliveries.c.notice_id.in_(ids)))
            connection.execute(sa.delete(outbox).where(outbox.c.id.in_(ids)))


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    is_free = sa.or_(
        deliveries.c.leased_until.is_(None), has_ended(deliveries.c.leased_until, now, LEASE_SECONDS)
    )
    is_time = sa.or_(
        deliveries.c.next_attempt_at <= now,
        deliveries.c.next_attempt_at > now + timedelta(seconds=2 * LONGEST_PAUSE),
    )
    return sa.and_(is_time, is_free)


_NOTICE = (outbox.c.id, outbox.c.uid, outbox.c.kind, outbox.c.created_at, outbox.c.text, outbox.c.data)
_DELIVERIES = sa.select(
    deliveries, outbox.c.uid, outbox.c.kind, outbox.c.created_at, outbox.c.text, outbox.c.data
).join_from(deliveries, outbox)


def _notice(row: Any) -> StoredNotice:
    return StoredNotice(row.id, row.uid, NoticeKind(row.kind), row.created_at, row.text, row.data)


def _delivery(row: Any) -> Delivery:
    return Delivery(
        id=row.id,
        notice=_notice(row)._replace(id=row.notice_id),
        recipient=Recipient(row.channel, row.target, row.shown),
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        delivered_at=row.delivered_at,
        given_up_at=row.given_up_at,
        error=row.last_error,
    )
