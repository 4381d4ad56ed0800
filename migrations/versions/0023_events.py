"""What customers did with products, which customers were forgotten, and which products are kept together.

Only expands. The program of the release before does not know the events of a customer, so it does not delete
them either: a customer that it deletes must be forgotten once more by `returns-pipeline events forget`.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

schema_effect = "expands"

_MOMENT = sa.DateTime(timezone=True)


def _ordered_text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("customer", _ordered_text(100), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("product", _ordered_text(100), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.CheckConstraint("kind IN ('kept', 'returned', 'viewed')", name=op.f("ck_events_kind")),
        sa.PrimaryKeyConstraint("customer", "at", "product", "kind", name=op.f("pk_events")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "forgotten_customers",
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_forgotten_customers")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "product_neighbours",
        sa.Column("product", _ordered_text(100), nullable=False),
        sa.Column("neighbour", _ordered_text(100), nullable=False),
        sa.Column("similarity", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("product", "neighbour", name=op.f("pk_product_neighbours")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in ("product_neighbours", "forgotten_customers", "events"):
        op.drop_table(table)
