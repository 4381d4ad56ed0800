"""Notices to the outside world, and their deliveries."""

import sqlalchemy as sa

from returns_pipeline.store.tables.columns import BigId, UtcDateTime, metadata

#: Terms of partial indexes.
NOT_SPREAD = sa.text("spread_at IS NULL")
UNDELIVERED = sa.text("delivered_at IS NULL AND given_up_at IS NULL")
GIVEN_UP = sa.text("given_up_at IS NOT NULL")

#: One row for each notice, written in the transaction of its cause. The addresses are not known there: a
#: worker, which has them in its settings, adds the deliveries.
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    # Random, because ids are assigned again after an older database was restored.
    sa.Column("uid", sa.String(40), nullable=False),
    # Unique, so that the same cause is told once.
    sa.Column("cause", sa.String(120), nullable=False, unique=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False, index=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    # When its deliveries were added, of which there are none without an address.
    sa.Column("spread_at", UtcDateTime),
)

sa.Index("ix_outbox_not_spread", outbox.c.id, postgresql_where=NOT_SPREAD, sqlite_where=NOT_SPREAD)

#: One row for each notice and address.
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("notice_id", sa.ForeignKey("outbox.id"), nullable=False),
    sa.Column("channel", sa.String(32), nullable=False),
    # A digest of the address, which may hold a password.
    sa.Column("target", sa.String(16), nullable=False),
    sa.Column("shown", sa.String(200), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_attempt_at", UtcDateTime, nullable=False),
    # The process that sends it holds it until then, so that no other process sends it too.
    sa.Column("leased_until", UtcDateTime),
    sa.Column("delivered_at", UtcDateTime),
    sa.Column("given_up_at", UtcDateTime),
    sa.Column("last_error", sa.Text),
    sa.UniqueConstraint("notice_id", "target"),
)

sa.Index(
    "ix_deliveries_undelivered",
    deliveries.c.next_attempt_at,
    postgresql_where=UNDELIVERED,
    sqlite_where=UNDELIVERED,
)

sa.Index("ix_deliveries_given_up", deliveries.c.id, postgresql_where=GIVEN_UP, sqlite_where=GIVEN_UP)
