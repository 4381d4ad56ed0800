"""Stages of model versions, and the history of changes of models."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Every version starts as a candidate. The next run activates the highest version on disk, which is the
    # version that runs used before.
    with op.batch_alter_table("model_versions") as table:
        table.add_column(sa.Column("stage", sa.String(length=16), server_default="candidate", nullable=False))
        table.add_column(sa.Column("shadow_share", sa.Float(), nullable=True))
        table.create_check_constraint(
            op.f("ck_model_versions_shadow_share"),
            "shadow_share IS NULL OR (shadow_share > 0 AND shadow_share <= 1 AND stage <> 'active')",
        )
        table.create_check_constraint(
            op.f("ck_model_versions_stage"), "stage IN ('candidate', 'active', 'archived')"
        )
    op.create_index(
        "uq_model_versions_active",
        "model_versions",
        ["name"],
        unique=True,
        postgresql_where=sa.text("stage = 'active'"),
        sqlite_where=sa.text("stage = 'active'"),
    )
    op.create_index(
        "uq_model_versions_shadow",
        "model_versions",
        ["name"],
        unique=True,
        postgresql_where=sa.text("shadow_share IS NOT NULL"),
        sqlite_where=sa.text("shadow_share IS NOT NULL"),
    )
    op.create_table(
        "model_changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("who", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("from_version", sa.Integer(), nullable=True),
        sa.Column("to_version", sa.Integer(), nullable=True),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "action IN ('register', 'promote', 'rollback', 'first use', 'shadow')",
            name=op.f("ck_model_changes_action"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_changes")),
    )
    op.create_index("ix_model_changes_name", "model_changes", ["name", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_model_changes_name", "model_changes")
    op.drop_table("model_changes")
    op.drop_index("uq_model_versions_shadow", "model_versions")
    op.drop_index("uq_model_versions_active", "model_versions")
    with op.batch_alter_table("model_versions") as table:
        table.drop_constraint(op.f("ck_model_versions_stage"), type_="check")
        table.drop_constraint(op.f("ck_model_versions_shadow_share"), type_="check")
        table.drop_column("shadow_share")
        table.drop_column("stage")
