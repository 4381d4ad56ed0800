"""The audit log."""

import sqlalchemy as sa

from returns_pipeline.store.tables.columns import BigId, UtcDateTime, metadata

#: Every action of a person or a program but reviews, which `review_changes` has. Rows are only added.
audit_events = sa.Table(
    "audit_events",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    # The name of a user or a token at that time: an event outlives both.
    sa.Column("who", sa.String(100), nullable=False),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("subject", sa.String(16), nullable=False),
    # An id or a name, as text.
    sa.Column("subject_id", sa.String(200), nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
)

sa.Index("ix_audit_events_at", audit_events.c.at, audit_events.c.id)

sa.Index("ix_audit_events_who", audit_events.c.who, audit_events.c.at, audit_events.c.id)

sa.Index("ix_audit_events_action", audit_events.c.action, audit_events.c.at, audit_events.c.id)
