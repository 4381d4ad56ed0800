"""Which programs can use the present schema, so that an older program works with a newer, compatible one."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Earlier programs accept only their own revision.
schema_effect = "contracts"


def upgrade() -> None:
    # Its rows are written after the last migration: see env.py.
    op.create_table(
        "schema_compatibility",
        sa.Column("revision", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_schema_compatibility")),
    )


def downgrade() -> None:
    op.drop_table("schema_compatibility")
