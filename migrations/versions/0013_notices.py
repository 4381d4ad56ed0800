"""Notices to the outside world, and how many predictions of a run were unsure.

Only expands: the release before this one writes no notices.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

schema_effect = "expands"

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NOT_SPREAD = sa.text("spread_at IS NULL")
_UNDELIVERED = sa.text("delivered_at IS NULL AND given_up_at IS NULL")
_GIVEN_UP = sa.text("given_up_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("runs", sa.Column("unsure", sa.Integer(), nullable=True))
    op.create_table(
        "outbox",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("uid", sa.String(length=40), nullable=False),
        sa.Column("cause", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("spread_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("cause", name=op.f("uq_outbox_cause")),
    )
    op.create_index(op.f("ix_outbox_created_at"), "outbox", ["created_at"])
    _partial_index("ix_outbox_not_spread", "outbox", "id", _NOT_SPREAD)
    op.create_table(
        "deliveries",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("notice_id", _BIG_ID, nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("target", sa.String(length=16), nullable=False),
        sa.Column("shown", sa.String(length=200), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("given_up_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["notice_id"], ["outbox.id"], name=op.f("fk_deliveries_notice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("notice_id", "target", name=op.f("uq_deliveries_notice_id_target")),
    )
    _partial_index("ix_deliveries_undelivered", "deliveries", "next_attempt_at", _UNDELIVERED)
    _partial_index("ix_deliveries_given_up", "deliveries", "id", _GIVEN_UP)


def downgrade() -> None:
    op.drop_table("deliveries")
    op.drop_table("outbox")
    op.drop_column("runs", "unsure")


def _partial_index(name: str, table: str, column: str, where: sa.TextClause) -> None:
    op.create_index(name, table, [column], postgresql_where=where, sqlite_where=where)
