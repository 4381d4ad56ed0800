"""Explanations of predictions, and embeddings to find similar returns."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "embeddings",
        sa.Column("model_version_id", sa.Integer(), nullable=False),
        sa.Column("chunk_id", _BIG_ID, nullable=False),
        sa.Column("image_ids", sa.LargeBinary(), nullable=False),
        sa.Column("vectors", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["chunk_id"], ["chunks.id"], name=op.f("fk_embeddings_chunk_id_chunks")),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_versions.id"],
            name=op.f("fk_embeddings_model_version_id_model_versions"),
        ),
        sa.PrimaryKeyConstraint("model_version_id", "chunk_id", name=op.f("pk_embeddings")),
    )
    op.create_table(
        "explanations",
        sa.Column("image_id", _BIG_ID, nullable=False),
        sa.Column("model_version_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("heat", sa.LargeBinary(), nullable=False),
        sa.Column("similar", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_explanations_image_id_images")),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_versions.id"],
            name=op.f("fk_explanations_model_version_id_model_versions"),
        ),
        sa.PrimaryKeyConstraint("image_id", "model_version_id", name=op.f("pk_explanations")),
    )


def downgrade() -> None:
    op.drop_table("explanations")
    op.drop_table("embeddings")
