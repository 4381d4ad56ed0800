"""Adds what a scan left in its intake, and where the intake was.

Only expands: the counts have a default, and the rest may be empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

schema_effect = "expands"

_COUNTS = ("still_changing", "skipped", "unreadable_folders")
_PLACES = ("intake", "file_system")


def upgrade() -> None:
    for name in _COUNTS:
        op.add_column("runs", sa.Column(name, sa.Integer(), server_default="0", nullable=False))
    for name in _PLACES:
        op.add_column("runs", sa.Column(name, sa.Text(), nullable=True))


def downgrade() -> None:
    for name in (*_COUNTS, *_PLACES):
        op.drop_column("runs", name)
