"""Runs whose photos' rows were removed because of their age; groups of blocks in the index of names.

Only expands.
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

schema_effect = "expands"


def upgrade() -> None:
    op.add_column("runs", sa.Column("rows_leaving_at", sa.DateTime(timezone=True)))
    op.add_column("runs", sa.Column("rows_removed_at", sa.DateTime(timezone=True)))
    op.add_column(
        "search_progress", sa.Column("grouped_end", sa.BigInteger(), server_default="0", nullable=False)
    )


def downgrade() -> None:
    op.execute("DELETE FROM search_grams WHERE block < 0")
    op.drop_column("search_progress", "grouped_end")
    op.drop_column("runs", "rows_removed_at")
    op.drop_column("runs", "rows_leaving_at")
