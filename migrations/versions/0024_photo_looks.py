"""The vectors of photos, by which products are found; an index of new pictures that are files.

Only expands.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

schema_effect = "expands"

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NEW = sa.text("state = 'new'")
_NEW_FILE = sa.text("state = 'new' AND folder IS NOT NULL")
_OF_UPLOAD = sa.text("image_id IS NULL")


def upgrade() -> None:
    op.create_table(
        "photo_looks",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("space_id", sa.Integer(), nullable=False),
        sa.Column("image_id", _BIG_ID, nullable=True),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("vector", sa.LargeBinary(256), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_photo_looks_image_id_images")),
        sa.ForeignKeyConstraint(
            ["space_id"], ["embedding_spaces.id"], name=op.f("fk_photo_looks_space_id_embedding_spaces")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_photo_looks")),
        sa.UniqueConstraint("image_id", "space_id", name=op.f("uq_photo_looks_image_id_space_id")),
    )
    op.create_index(
        "ix_photo_looks_uploads",
        "photo_looks",
        ["asked_at"],
        postgresql_where=_OF_UPLOAD,
        sqlite_where=_OF_UPLOAD,
    )
    _index_new(_NEW_FILE)


def downgrade() -> None:
    _index_new(_NEW)
    op.drop_table("photo_looks")


def _index_new(condition: sa.TextClause) -> None:
    op.drop_index("ix_product_images_waiting", table_name="product_images")
    op.create_index(
        "ix_product_images_waiting",
        "product_images",
        ["id"],
        postgresql_where=condition,
        sqlite_where=condition,
    )
