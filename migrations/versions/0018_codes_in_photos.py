"""Codes that were read in photos.

Only expands. What the release before this one classifies beside this one has no codes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

schema_effect = "expands"


def upgrade() -> None:
    op.create_table(
        "image_codes",
        sa.Column(
            "image_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.ForeignKey("images.id", name=op.f("fk_image_codes_image_id_images")),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("text", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("image_id", "format", "text", name=op.f("pk_image_codes")),
    )
    op.create_index("ix_image_codes_text", "image_codes", ["text", "image_id"])


def downgrade() -> None:
    op.drop_table("image_codes")
