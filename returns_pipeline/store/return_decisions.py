"""Decisions of people on returns: who decided what; a decision replaces only one that its person has seen."""

from typing import Any

import sqlalchemy as sa

from returns_pipeline.errors import ConflictError, NotFoundError
from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.records.notices import Notice, NoticeKind
from returns_pipeline.records.returns import Return, ReturnAction, ReturnDecision
from returns_pipeline.records.text import iso
from returns_pipeline.store import audit, outbox, returns
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import return_events
from returns_pipeline.store.tables import returns as returns_table

#: Most characters of a note.
MOST_NOTE = 2000


def version(db: Database, return_id: int) -> int:
    """Return the version of a return's decision: the id of its event, 0 if none was ever made."""
    with db.read() as connection:
        return _version(connection, return_id)


def _version(connection: sa.Connection, return_id: int) -> int:
    query = (
        sa.select(return_events.c.id)
        .where(return_events.c.return_id == return_id, return_events.c.action == ReturnAction.DECISION)
        .order_by(return_events.c.id.desc())
        .limit(1)
    )
    return int(connection.execute(query).scalar() or 0)


def decide(
    db: Database, number: str, decision: ReturnDecision | None, note: str, who: str, seen: int
) -> Return:
    """Store a person's decision on a return and return the return; None takes the decision back.

    `seen` is the version of the decision that the person saw. The same decision and note of the same person
    again change nothing. Raises NotFoundError for an unknown number, ConflictError if another person has
    decided since: its message says who and when.
    """
    with db.write() as connection:
        query = sa.select(*returns.COLUMNS).where(returns_table.c.number == number).with_for_update()
        row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError("There is no return {number}.", number=number)
        found = Return._make(row)
        present = _version(connection, found.id)
        is_mine = found.decided_by in {who, None}
        if is_mine and (found.decision, found.decision_note or "") == (decision, note):
            return found
        if present != seen and (not is_mine or found.decided_by is None):
            raise _decided_since(connection, found, present)
        now = utc_now()
        values: dict[str, Any] = {
            "decision": decision,
            "decided_by": who[:100],
            "decided_at": now,
            "decision_note": note or None,
        }
        if decision is None:
            values = dict.fromkeys(values)
        connection.execute(sa.update(returns_table).where(returns_table.c.id == found.id).values(**values))
        event = connection.execute(
            sa.insert(return_events)
            .values(
                return_id=found.id,
                at=now,
                who=who[:100],
                action=ReturnAction.DECISION,
                detail={"decision": decision, "before": found.decision, "verdict": found.verdict},
            )
            .returning(return_events.c.id)
        ).scalar_one()
        audit.record(
            connection,
            who,
            AuditAction.RETURN_DECIDE,
            AuditSubject.RETURN,
            found.number,
            decision=decision,
            before=found.decision,
        )
        outbox.add(connection, [_notice(found, decision, note, who, event)])
        return found._replace(**values)


def _decided_since(connection: sa.Connection, found: Return, event: int) -> ConflictError:
    row = connection.execute(sa.select(return_events).where(return_events.c.id == event)).one()
    said = row.detail.get("decision")
    if not said:
        return ConflictError(
            "{who} has taken back the decision on return {number} meanwhile, on {at:%Y-%m-%d} at "
            "{at:%H:%M} UTC.",
            "Look at the return again; a new decision replaces the one that you see then.",
            who=row.who,
            number=found.number,
            at=row.at,
        )
    return ConflictError(
        "{who} has decided return {number} meanwhile, on {at:%Y-%m-%d} at {at:%H:%M} UTC: {decision}.",
        "Look at the return again; a new decision replaces the one that you see then.",
        who=row.who,
        number=found.number,
        at=row.at,
        decision=str(said).replace("_", " "),
    )


def _notice(found: Return, decision: ReturnDecision | None, note: str, who: str, event: int) -> Notice:
    said = (decision or "taken back").replace("_", " ")
    return Notice(
        f"{NoticeKind.RETURN_DECIDED}:{event}",
        NoticeKind.RETURN_DECIDED,
        f"{who} decided return {found.number}: {said}.",
        {
            "return": found.number,
            "order": found.order_number,
            "decision": decision,
            "before": found.decision,
            "note": note or None,
            "verdict": found.verdict,
            "by": who,
            "at": iso(utc_now()),
        },
    )
