"""The audit log: who did what, when. Rows are only added, in the transaction of their cause.

Reviews are part of the log and have a table of their own. A page merges both by time, so it reads at most one
page of each by an index, however long the log is.
"""

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice

import sqlalchemy as sa

from returns_pipeline.records.audit import AuditAction, AuditEvent, AuditFilter, AuditPlace, AuditSubject
from returns_pipeline.records.text import printable
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import audit_events, review_changes

#: Events that are read together for an export.
_TOGETHER = 1000


def record(
    connection: sa.Connection, who: str, action: str, subject: str, subject_id: object, **detail: object
) -> None:
    """Add an event within the transaction of its cause.

    `action` is one of AuditAction and `subject` one of AuditSubject. `subject_id` is the id or the name of
    the thing. The `detail` is short: values that JSON has. It contains no secret.
    """
    connection.execute(
        sa.insert(audit_events).values(
            at=utc_now(),
            who=_fitting(audit_events.c.who, who),
            action=action,
            subject=subject,
            subject_id=_fitting(audit_events.c.subject_id, str(subject_id)),
            detail=detail,
        )
    )


def note(db: Database, who: str, action: str, subject: str, subject_id: object, **detail: object) -> None:
    """Add an event whose cause changes no row, like a download; see `record`."""
    with db.write() as connection:
        record(connection, who, action, subject, subject_id, **detail)


def page(db: Database, wanted: AuditFilter, after: AuditPlace | None, limit: int) -> list[AuditEvent]:
    """Return at most `limit` events after a place, newest first."""
    found: list[list[AuditEvent]] = []
    with db.read() as connection:
        if wanted.action != AuditAction.REVIEW:
            rows = connection.execute(events_query(wanted, after).limit(limit))
            found.append([AuditEvent._make(row) for row in rows])
        if wanted.action in {None, AuditAction.REVIEW}:
            found.append(
                [_review(row) for row in connection.execute(reviews_query(wanted, after).limit(limit))]
            )
    newest_first = heapq.merge(*found, key=lambda event: event.place, reverse=True)
    return list(islice(newest_first, limit))


def batches(db: Database, wanted: AuditFilter) -> Iterator[Sequence[AuditEvent]]:
    """Yield every event, newest first, some at a time. Each time is a transaction of its own."""
    after = None
    while found := page(db, wanted, after, _TOGETHER):
        yield found
        after = found[-1].place


def events_query(wanted: AuditFilter, after: AuditPlace | None) -> sa.Select[tuple[object, ...]]:
    """Return the query of the events after a place, but reviews."""
    at, number = audit_events.c.at, audit_events.c.id
    query = sa.select(
        number,
        at,
        audit_events.c.who,
        audit_events.c.action,
        audit_events.c.subject,
        audit_events.c.subject_id,
        audit_events.c.detail,
    ).order_by(at.desc(), number.desc())
    if wanted.action is not None:
        query = query.where(audit_events.c.action == wanted.action)
    if after is not None and after.is_review:
        query = query.where(at <= after.at)
    elif after is not None:
        query = query.where(sa.tuple_(at, number) < _literal(after, at, number))
    return _within(query, wanted, audit_events.c.who, at)


def reviews_query(wanted: AuditFilter, after: AuditPlace | None) -> sa.Select[tuple[object, ...]]:
    """Return the query of the reviews after a place."""
    at, number = review_changes.c.changed_at, review_changes.c.id
    query = sa.select(review_changes).order_by(at.desc(), number.desc())
    if after is not None and after.is_review:
        query = query.where(sa.tuple_(at, number) < _literal(after, at, number))
    elif after is not None:
        query = query.where(at < after.at)
    return _within(query, wanted, review_changes.c.who, at)


def _within(
    query: sa.Select[tuple[object, ...]], wanted: AuditFilter, who: sa.Column[str], at: sa.Column[object]
) -> sa.Select[tuple[object, ...]]:
    if wanted.who is not None:
        query = query.where(who == wanted.who)
    if wanted.since is not None:
        query = query.where(at >= wanted.since)
    if wanted.before is not None:
        query = query.where(at < wanted.before)
    return query


def _literal(
    place: AuditPlace, at: sa.Column[object], number: sa.Column[int]
) -> sa.ColumnElement[tuple[object, ...]]:
    return sa.tuple_(sa.literal(place.at, at.type), sa.literal(place.id, number.type))


def _review(row: sa.Row[tuple[object, ...]]) -> AuditEvent:
    detail = {"action": row.action, "label": row.label, "outcome": row.outcome}
    return AuditEvent(
        row.id, row.changed_at, row.who, AuditAction.REVIEW, AuditSubject.IMAGE, str(row.image_id), detail
    )


def _fitting(column: sa.Column[str], text: str) -> str:
    """Return text as the column takes it: a name from outside may be too long, or no valid text."""
    assert isinstance(column.type, sa.String)  # noqa: S101
    return printable(text)[: column.type.length]
