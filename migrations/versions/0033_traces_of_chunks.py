"""The trace that a chunk belongs to, so that a message that is sent again continues it.

Only expands.
"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

schema_effect = "expands"


def upgrade() -> None:
    op.add_column("chunks", sa.Column("traceparent", sa.String(length=55)))


def downgrade() -> None:
    op.drop_column("chunks", "traceparent")
