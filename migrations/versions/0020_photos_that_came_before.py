"""Keys and thumbnails of photos, and which photo is an earlier one.

Only expands. What the release before this one classifies beside this one is not compared.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

schema_effect = "expands"

_UNDECIDED = sa.text("decision IS NULL")
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "uncompared_chunks",
        sa.Column(
            "chunk_id",
            _BIG,
            sa.ForeignKey("chunks.id", name=op.f("fk_uncompared_chunks_chunk_id_chunks")),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("image_ids", sa.LargeBinary(), nullable=False),
        sa.Column("thumbnails", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chunk_id", name=op.f("pk_uncompared_chunks")),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Thumbnails hardly get smaller, and compressing them would cost more than all else about them.
        op.execute("ALTER TABLE uncompared_chunks ALTER COLUMN thumbnails SET STORAGE EXTERNAL")
    op.create_table(
        "compared_images",
        sa.Column("image_id", _BIG, autoincrement=False, nullable=False),
        sa.Column("received_day", sa.Integer(), nullable=False),
        sa.Column("sha256_head", sa.BigInteger(), nullable=False),
        sa.Column("thumbnail", sa.LargeBinary()),
        sa.Column("packed_keys", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_compared_images")),
    )
    op.create_index("ix_compared_images_sha256_head", "compared_images", ["sha256_head", "image_id"])
    op.create_index("ix_compared_images_received_day", "compared_images", ["received_day"])
    op.create_table(
        "image_keys",
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("image_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("view", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("key", "image_id", "view", name=op.f("pk_image_keys")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "image_matches",
        sa.Column(
            "image_id",
            _BIG,
            sa.ForeignKey("images.id", name=op.f("fk_image_matches_image_id_images")),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column(
            "earlier_id",
            _BIG,
            sa.ForeignKey("images.id", name=op.f("fk_image_matches_earlier_id_images")),
            nullable=False,
        ),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("distance", sa.Float(), nullable=False),
        sa.Column("changes", sa.String(100), nullable=False),
        sa.Column("matched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decision", sa.String(16)),
        sa.Column("decided_by", sa.String(100)),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_image_matches")),
        sa.CheckConstraint("kind IN ('exact', 'near')", name=op.f("ck_image_matches_kind")),
        sa.CheckConstraint("decision IN ('confirmed', 'dismissed')", name=op.f("ck_image_matches_decision")),
        sa.CheckConstraint("earlier_id < image_id", name=op.f("ck_image_matches_order")),
    )
    op.create_index("ix_image_matches_earlier_id", "image_matches", ["earlier_id"])
    op.create_index(
        "ix_image_matches_undecided",
        "image_matches",
        ["image_id"],
        postgresql_where=_UNDECIDED,
        sqlite_where=_UNDECIDED,
    )


def downgrade() -> None:
    for table in ("image_matches", "image_keys", "compared_images", "uncompared_chunks"):
        op.drop_table(table)
