"""The audit log: who did what, when. Rows are only added, in the transaction of their cause."""

import sqlalchemy as sa

from returns_pipeline.records.text import printable
from returns_pipeline.store.database import utc_now
from returns_pipeline.store.tables import audit_events


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


def _fitting(column: sa.Column[str], text: str) -> str:
    """Return text as the column takes it: a name from outside may be too long, or no valid text."""
    assert isinstance(column.type, sa.String)  # noqa: S101
    return printable(text)[: column.type.length]
