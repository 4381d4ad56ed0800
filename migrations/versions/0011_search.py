"""The search box: an index of file names, and indexes for what else it finds.

Only expands. The sweep fills the index of names, also with the rows that are there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

schema_effect = "expands"

_NOT_CLASSIFIED = sa.text("state <> 'classified'")
_UNSURE = sa.text("decision = 'review'")


def upgrade() -> None:
    op.create_table(
        "search_grams",
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("gram", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("places", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("block", "gram", name=op.f("pk_search_grams")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_progress",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("indexed_end", sa.BigInteger(), nullable=False),
        sa.Column("settled_end", sa.BigInteger(), nullable=False),
        sa.Column("seen_end", sa.BigInteger(), nullable=False),
        sa.Column("seen_transaction", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_progress")),
    )
    _partial_index("ix_images_not_classified", "images", ["state", "id"], _NOT_CLASSIFIED)
    _partial_index("ix_predictions_unsure", "predictions", ["image_id", "model_version_id"], _UNSURE)
    op.create_index("ix_review_changes_who_image", "review_changes", ["who", "image_id"])
    op.create_index("ix_chunks_received", "chunks", ["received_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_chunks_received", "chunks")
    op.drop_index("ix_review_changes_who_image", "review_changes")
    op.drop_index("ix_predictions_unsure", "predictions")
    op.drop_index("ix_images_not_classified", "images")
    op.drop_table("search_progress")
    op.drop_table("search_grams")


def _partial_index(name: str, table: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, postgresql_where=where, sqlite_where=where)
