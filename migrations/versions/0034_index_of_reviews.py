"""An index of the newest reviews of each kind, so that counting them reads no row of the queue.

Only expands.
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

schema_effect = "expands"

_DONE = sa.text("reviewed_at IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_reviews_done",
        "reviews",
        ["kind", "reviewed_at", "was_right"],
        postgresql_where=_DONE,
        sqlite_where=_DONE,
    )


def downgrade() -> None:
    op.drop_index("ix_reviews_done", table_name="reviews")
