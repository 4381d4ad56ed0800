"""Addresses of photos that feeds list.

Only expands.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

schema_effect = "expands"

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "feed_readings",
        sa.Column("feed", sa.String(255), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("read_at", _MOMENT, nullable=False),
        sa.Column("lines", sa.Integer(), server_default="0", nullable=False),
        sa.Column("refused", sa.Integer(), server_default="0", nullable=False),
        sa.Column("faults", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("feed", name=op.f("pk_feed_readings")),
    )
    op.create_table(
        "feed_addresses",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("feed", sa.String(255), nullable=False),
        sa.Column("digest", sa.LargeBinary(16), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("number", sa.String(100), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", _MOMENT, nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'arrived', 'fetched', 'refused')", name=op.f("ck_feed_addresses_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed_addresses")),
        sa.UniqueConstraint("feed", "digest", name=op.f("uq_feed_addresses_feed_digest")),
    )
    op.create_index("ix_feed_addresses_state", "feed_addresses", ["feed", "state", "id"])


def downgrade() -> None:
    op.drop_table("feed_addresses")
    op.drop_table("feed_readings")
