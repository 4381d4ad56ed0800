"""Products that a person has removed, and indexes of what names a product besides.

Only expands.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

schema_effect = "expands"

_ID = sa.String(100).with_variant(postgresql.VARCHAR(100, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "removed_products",
        sa.Column("product_id", _ID, nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_by", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_removed_products")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_product_neighbours_neighbour", "product_neighbours", ["neighbour"])
    op.create_index("ix_product_comparisons_other", "product_comparisons", ["other", "return_id"])


def downgrade() -> None:
    op.drop_index("ix_product_comparisons_other", "product_comparisons")
    op.drop_index("ix_product_neighbours_neighbour", "product_neighbours")
    op.drop_table("removed_products")
