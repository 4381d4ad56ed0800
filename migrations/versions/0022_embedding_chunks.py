"""Chunks of pictures that a worker embeds, and a number that says whether a search index is stale.

Only expands.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

schema_effect = "expands"

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column(
        "embedding_spaces", sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.create_table(
        "embedding_chunks",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("space_id", sa.Integer(), nullable=False),
        sa.Column("first_image", _BIG_ID, nullable=False),
        sa.Column("last_image", _BIG_ID, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_at", _MOMENT, nullable=False),
        sa.Column("lease_owner", sa.String(255), nullable=True),
        sa.Column("lease_token", sa.String(32), nullable=True),
        sa.Column("lease_until", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["space_id"], ["embedding_spaces.id"], name=op.f("fk_embedding_chunks_space_id_embedding_spaces")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_embedding_chunks")),
        sa.UniqueConstraint("space_id", "first_image", name=op.f("uq_embedding_chunks_space_id_first_image")),
    )


def downgrade() -> None:
    op.drop_table("embedding_chunks")
    op.drop_column("embedding_spaces", "revision")
