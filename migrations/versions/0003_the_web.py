"""Uploads, users and tokens of the web, jobs, and reviews."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KIND = "ck_runs_kind"
_WAITING = sa.text("reviewed_at IS NULL")
_OPEN = sa.text("is_open")
_HELD = sa.text("held_by IS NOT NULL")


def upgrade() -> None:
    with op.batch_alter_table("runs") as table:
        table.drop_constraint(op.f(_KIND), type_="check")
        table.create_check_constraint(op.f(_KIND), "kind IN ('nightly', 'catch-up', 'adhoc', 'retry', 'api')")
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('viewer', 'reviewer', 'operator')", name=op.f("ck_users_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('viewer', 'reviewer', 'operator')", name=op.f("ck_api_tokens_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("name", name=op.f("uq_api_tokens_name")),
        sa.UniqueConstraint("sha256", name=op.f("uq_api_tokens_sha256")),
    )
    op.create_table(
        "run_labels",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_labels_run_id_runs")),
        sa.PrimaryKeyConstraint("run_id", "label", name=op.f("pk_run_labels")),
    )
    op.create_table(
        "run_stages",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_stages_run_id_runs")),
        sa.PrimaryKeyConstraint("run_id", "stage", name=op.f("pk_run_stages")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("who", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("is_open", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.CheckConstraint("kind IN ('scan', 'retry')", name=op.f("ck_jobs_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index("ix_jobs_open", "jobs", ["id"], postgresql_where=_OPEN, sqlite_where=_OPEN)
    op.create_table(
        "reviews",
        sa.Column("image_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("rank", sa.Float(), nullable=False),
        sa.Column("held_by", sa.String(length=100), nullable=True),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reviewer", sa.String(length=100), nullable=True),
        sa.Column("label", sa.String(length=100), nullable=True),
        sa.Column("main_label", sa.String(length=100), nullable=True),
        sa.Column("was_right", sa.Boolean(), nullable=True),
        sa.CheckConstraint("kind IN ('doubt', 'audit')", name=op.f("ck_reviews_kind")),
        sa.CheckConstraint(
            "reviewed_at IS NULL OR (reviewer IS NOT NULL AND label IS NOT NULL AND main_label IS NOT NULL "
            "AND was_right IS NOT NULL)",
            name=op.f("ck_reviews_whole"),
        ),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_reviews_image_id_images")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_reviews_run_id_runs")),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_reviews")),
    )
    op.create_index(
        "ix_reviews_waiting", "reviews", ["rank"], postgresql_where=_WAITING, sqlite_where=_WAITING
    )
    op.create_index("ix_reviews_run", "reviews", ["run_id"])
    op.create_index("ix_reviews_held", "reviews", ["held_by"], postgresql_where=_HELD, sqlite_where=_HELD)
    op.create_table(
        "review_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("image_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=True),
        sa.CheckConstraint(
            "action IN ('accept', 'correct', 'skip', 'undo')", name=op.f("ck_review_changes_action")
        ),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_review_changes_image_id_images")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_changes")),
    )
    op.create_index("ix_review_changes_image", "review_changes", ["image_id", "id"])
    op.create_index("ix_review_changes_who", "review_changes", ["who", "id"])


def downgrade() -> None:
    for table in ("review_changes", "reviews", "jobs", "run_stages", "run_labels", "api_tokens", "users"):
        op.drop_table(table)
    # An older version does not know this kind. A retry is the most similar one: it has files of its own too.
    op.execute("UPDATE runs SET kind = 'retry' WHERE kind = 'api'")
    with op.batch_alter_table("runs") as table:
        table.drop_constraint(op.f(_KIND), type_="check")
        table.create_check_constraint(op.f(_KIND), "kind IN ('nightly', 'catch-up', 'adhoc', 'retry')")
