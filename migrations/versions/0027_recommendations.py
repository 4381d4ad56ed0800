"""An index of the prices of each category, and when the products that are kept together were computed.

Only expands.
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

schema_effect = "expands"

_MOMENT = sa.DateTime(timezone=True)
_LISTED = sa.text("discontinued_at IS NULL")


def upgrade() -> None:
    op.create_index(
        "ix_products_price",
        "products",
        ["category", "currency", "price", "id"],
        postgresql_where=_LISTED,
        sqlite_where=_LISTED,
    )
    op.create_table(
        "learnings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.Column("products", sa.Integer(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_learnings")),
    )


def downgrade() -> None:
    op.drop_table("learnings")
    op.drop_index("ix_products_price", "products")
