"""Deleted images, photos that are no longer kept, the files that wait to be removed, and passes of retention.

Only expands: for the release before this one a deleted image is an image of another name without a file.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

schema_effect = "expands"

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)
_KEPT = sa.text("photos_removed_at IS NULL")


def upgrade() -> None:
    op.add_column("images", sa.Column("deleted_at", _MOMENT, nullable=True))
    op.add_column("images", sa.Column("deleted_by", sa.String(length=100), nullable=True))
    op.add_column("images", sa.Column("photo_removed_at", _MOMENT, nullable=True))
    op.add_column("chunks", sa.Column("photos_removed_at", _MOMENT, nullable=True))
    # Chunks of releases before 0010: retention finds all chunks by one index.
    op.execute(
        sa.text(
            "UPDATE chunks SET received_at = (SELECT opened_at FROM runs WHERE runs.id = chunks.run_id) "
            "WHERE received_at IS NULL"
        )
    )
    op.create_index(
        "ix_chunks_kept", "chunks", ["received_at", "id"], postgresql_where=_KEPT, sqlite_where=_KEPT
    )
    op.create_table(
        "file_removals",
        sa.Column("image_id", _BIG_ID, autoincrement=False, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tried_at", _MOMENT, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_file_removals_image_id")),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_file_removals")),
    )
    op.create_table(
        "retention_passes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("keep_days", sa.Integer(), nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("touched_at", _MOMENT, nullable=False),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.Column("after_received_at", _MOMENT, nullable=True),
        sa.Column("after_chunk_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_passes")),
    )


def downgrade() -> None:
    op.drop_table("retention_passes")
    op.drop_table("file_removals")
    op.drop_index("ix_chunks_kept", "chunks")
    op.drop_column("chunks", "photos_removed_at")
    for column in ("photo_removed_at", "deleted_by", "deleted_at"):
        op.drop_column("images", column)
