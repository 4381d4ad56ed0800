"""Which chunks are compared with earlier photos at this moment, so that several workers divide them.

Only expands. A program of before compares without a hold: both may compare one chunk, which changes nothing.
It refuses the new message that names the chunk of a client: the sweep sends another within two minutes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

schema_effect = "expands"


def upgrade() -> None:
    op.create_table(
        "held_comparisons",
        sa.Column("chunk_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("chunk_id", name=op.f("pk_held_comparisons")),
    )


def downgrade() -> None:
    op.drop_table("held_comparisons")
