"""How familiar a photo is to the model that predicted it, and an index of the unfamiliar ones.

Only expands.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

schema_effect = "expands"

_UNFAMILIAR = sa.text("unfamiliar")


def upgrade() -> None:
    op.add_column("predictions", sa.Column("familiarity", sa.Float(), nullable=True))
    op.add_column("predictions", sa.Column("unfamiliar", sa.Boolean(), nullable=True))
    op.create_index(
        "ix_predictions_unfamiliar",
        "predictions",
        ["image_id", "model_version_id"],
        postgresql_where=_UNFAMILIAR,
        sqlite_where=_UNFAMILIAR,
    )


def downgrade() -> None:
    op.drop_index("ix_predictions_unfamiliar", "predictions")
    op.drop_column("predictions", "unfamiliar")
    op.drop_column("predictions", "familiarity")
