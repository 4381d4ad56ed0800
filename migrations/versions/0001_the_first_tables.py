"""The first tables: model versions, runs, chunks, images, predictions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite assigns ids in INTEGER columns only.
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "model_versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_versions")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_model_versions_name_version")),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("directory", sa.Text(), nullable=True),
        sa.Column("model_version_id", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen", sa.Integer(), server_default="0", nullable=False),
        sa.Column("classified", sa.Integer(), server_default="0", nullable=False),
        sa.Column("quarantined", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("csv_path", sa.Text(), nullable=True),
        sa.Column("report_path", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('nightly', 'catch-up', 'adhoc', 'retry')", name=op.f("ck_runs_kind")),
        sa.CheckConstraint(
            "state <> 'closed' OR seen = classified + quarantined + failed", name=op.f("ck_runs_sums")
        ),
        sa.CheckConstraint(
            "state IN ('scanning', 'running', 'closing', 'closed')", name=op.f("ck_runs_state")
        ),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_versions.id"], name=op.f("fk_runs_model_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("request_id", name=op.f("uq_runs_request_id")),
    )
    op.create_index(
        "ix_runs_open",
        "runs",
        ["state"],
        unique=False,
        postgresql_where=sa.text("runs.state <> 'closed'"),
        sqlite_where=sa.text("runs.state <> 'closed'"),
    )

    op.create_table(
        "chunks",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.String(length=255), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("timings", sa.JSON(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'leased', 'done')", name=op.f("ck_chunks_state")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_chunks_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chunks")),
    )
    op.create_index("ix_chunks_run", "chunks", ["run_id", "state"], unique=False)
    op.create_index(
        "ix_chunks_unfinished",
        "chunks",
        ["state", "lease_until"],
        unique=False,
        postgresql_where=sa.text("chunks.state <> 'done'"),
        sqlite_where=sa.text("chunks.state <> 'done'"),
    )

    op.create_table(
        "images",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("chunk_id", BIG_ID, nullable=False),
        sa.Column("source_path", sa.Text(), nullable=False),
        sa.Column("in_intake", sa.Boolean(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("format", sa.String(length=16), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("archived_path", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'classified') OR code IS NOT NULL", name=op.f("ck_images_code")
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'classified', 'quarantined', 'failed')", name=op.f("ck_images_state")
        ),
        sa.ForeignKeyConstraint(["chunk_id"], ["chunks.id"], name=op.f("fk_images_chunk_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_images_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
    )
    op.create_index("ix_images_chunk", "images", ["chunk_id"], unique=False)
    op.create_index("ix_images_run", "images", ["run_id", "id"], unique=False)
    op.create_index(
        "uq_images_intake",
        "images",
        ["source_path"],
        unique=True,
        postgresql_where=sa.text("in_intake"),
        sqlite_where=sa.text("in_intake"),
    )

    op.create_table(
        "predictions",
        sa.Column("image_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("model_version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("label_index", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("main_label", sa.String(length=100), nullable=False),
        sa.Column("main_probability", sa.Float(), nullable=False),
        sa.Column("top", sa.JSON(), nullable=False),
        sa.Column("decision", sa.String(length=8), nullable=False),
        sa.CheckConstraint("decision IN ('auto', 'review')", name=op.f("ck_predictions_decision")),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_predictions_image_id")),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_versions.id"], name=op.f("fk_predictions_model_version_id")
        ),
        sa.PrimaryKeyConstraint("image_id", "model_version_id", name=op.f("pk_predictions")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("predictions")
    op.drop_index("uq_images_intake", "images")
    op.drop_index("ix_images_run", "images")
    op.drop_index("ix_images_chunk", "images")

    op.drop_table("images")
    op.drop_index("ix_chunks_unfinished", "chunks")
    op.drop_index("ix_chunks_run", "chunks")

    op.drop_table("chunks")
    op.drop_index("ix_runs_open", "runs")

    op.drop_table("runs")
    op.drop_table("model_versions")
