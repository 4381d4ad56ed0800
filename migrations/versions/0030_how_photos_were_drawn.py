"""How photos were drawn for reviews and how bright they are; predictions and properties of runs, counted.

Rows of before keep NULL: how their images were drawn is not known. Only expands.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

schema_effect = "expands"


def upgrade() -> None:
    op.add_column("reviews", sa.Column("inclusion", sa.Float(), nullable=True))
    op.add_column("runs", sa.Column("audit_share", sa.Float(), nullable=True))
    op.create_table(
        "run_predictions",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("is_sure", sa.Boolean(), nullable=False),
        sa.Column("band", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("photos", sa.Integer(), nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("reviewed", sa.Integer(), nullable=False),
        sa.Column("right_count", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("right_weight", sa.Float(), nullable=False),
        sa.Column("square_weight", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_predictions_run_id_runs")),
        sa.PrimaryKeyConstraint("run_id", "label", "is_sure", "band", name=op.f("pk_run_predictions")),
    )
    op.add_column("images", sa.Column("brightness", sa.SmallInteger(), nullable=True))
    op.create_table(
        "run_mixes",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("property", sa.String(length=16), nullable=False),
        sa.Column("bin", sa.String(length=100), nullable=False),
        sa.Column("photos", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_mixes_run_id_runs")),
        sa.PrimaryKeyConstraint("run_id", "property", "bin", name=op.f("pk_run_mixes")),
    )
    op.create_table(
        "run_changes",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("property", sa.String(length=16), nullable=False),
        sa.Column("bin", sa.String(length=100), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("usual", sa.Float(), nullable=False),
        sa.Column("chance", sa.Float(), nullable=False),
        sa.Column("is_new", sa.Boolean(), nullable=False),
        sa.Column("examples", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_changes_run_id_runs")),
        sa.PrimaryKeyConstraint("run_id", "property", name=op.f("pk_run_changes")),
    )


def downgrade() -> None:
    op.drop_table("run_changes")
    op.drop_table("run_mixes")
    op.drop_column("images", "brightness")
    op.drop_table("run_predictions")
    op.drop_column("runs", "audit_share")
    op.drop_column("reviews", "inclusion")
