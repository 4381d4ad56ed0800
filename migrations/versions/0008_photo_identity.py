"""Adds the identity of a photo, made and compared by its source alone.

Only expands: releases before this one go on reading and writing `size` and `mtime_ns` beside it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

schema_effect = "expands"


def upgrade() -> None:
    op.add_column("images", sa.Column("identity", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("images", "identity")
