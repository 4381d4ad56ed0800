"""The photos of returns compared with the expected product.

Only expands. A program of the release before judges returns by their category alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

schema_effect = "expands"

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "returns_to_compare",
        sa.Column("return_id", _BIG_ID, autoincrement=False, nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_token", sa.String(32), nullable=True),
        sa.Column("lease_until", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["return_id"], ["returns.id"], name=op.f("fk_returns_to_compare_return_id_returns")
        ),
        sa.PrimaryKeyConstraint("return_id", name=op.f("pk_returns_to_compare")),
    )
    op.create_table(
        "product_comparisons",
        sa.Column("return_id", _BIG_ID, autoincrement=False, nullable=False),
        sa.Column("product", sa.String(100), nullable=False),
        sa.Column("images", sa.JSON(), nullable=False),
        sa.Column("compared_at", _MOMENT, nullable=False),
        sa.Column("space_id", sa.Integer(), nullable=True),
        sa.Column("image", _BIG_ID, nullable=True),
        sa.Column("picture", sa.BigInteger(), nullable=True),
        sa.Column("likeness", sa.Float(), nullable=True),
        sa.Column("other", sa.String(100), nullable=True),
        sa.Column("other_picture", sa.BigInteger(), nullable=True),
        sa.Column("other_likeness", sa.Float(), nullable=True),
        sa.Column("rate", sa.Float(), nullable=True),
        sa.Column("accepted", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["return_id"], ["returns.id"], name=op.f("fk_product_comparisons_return_id_returns")
        ),
        sa.ForeignKeyConstraint(
            ["space_id"],
            ["embedding_spaces.id"],
            name=op.f("fk_product_comparisons_space_id_embedding_spaces"),
        ),
        sa.ForeignKeyConstraint(["image"], ["images.id"], name=op.f("fk_product_comparisons_image_images")),
        sa.PrimaryKeyConstraint("return_id", name=op.f("pk_product_comparisons")),
    )
    op.create_index("ix_product_comparisons_image", "product_comparisons", ["image"])
    op.create_index("ix_product_comparisons_space", "product_comparisons", ["space_id", "return_id"])
    op.create_table(
        "product_calibrations",
        sa.Column("space_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("begun_at", _MOMENT, nullable=False),
        sa.Column("vectors", sa.BigInteger(), nullable=True),
        sa.Column("margins", sa.LargeBinary(), nullable=True),
        sa.Column("partial", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["space_id"],
            ["embedding_spaces.id"],
            name=op.f("fk_product_calibrations_space_id_embedding_spaces"),
        ),
        sa.PrimaryKeyConstraint("space_id", name=op.f("pk_product_calibrations")),
    )


def downgrade() -> None:
    for table in ("product_calibrations", "product_comparisons", "returns_to_compare"):
        op.drop_table(table)
