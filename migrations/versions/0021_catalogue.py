"""The catalogue: products, their words and pictures, embedding spaces and vectors, imports and mappings.

Only expands.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

schema_effect = "expands"

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)
_LISTED = sa.text("discontinued_at IS NULL")
_DISCONTINUED = sa.text("discontinued_at IS NOT NULL")
_WAITING = sa.text("state = 'new'")
_ACTIVE = sa.text("state = 'active'")
_OF_PRODUCT = sa.text("product IS NOT NULL")


def _ordered_text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")


def upgrade() -> None:
    _imports()
    _products()
    _pictures()
    op.create_index(
        "ix_returns_product",
        "returns",
        ["product", "id"],
        postgresql_where=_OF_PRODUCT,
        sqlite_where=_OF_PRODUCT,
    )


def _imports() -> None:
    op.create_table(
        "catalogue_imports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.Column("who", sa.String(100), nullable=False),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("is_complete", sa.Boolean(), nullable=False),
        *(
            sa.Column(name, sa.Integer(), server_default="0", nullable=False)
            for name in ("lines", "added", "changed", "unchanged", "refused", "discontinued")
        ),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_imports")),
    )
    op.create_table(
        "catalogue_import_faults",
        sa.Column("import_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.String(100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["catalogue_imports.id"],
            name=op.f("fk_catalogue_import_faults_import_id_catalogue_imports"),
        ),
        sa.PrimaryKeyConstraint("import_id", "place", name=op.f("pk_catalogue_import_faults")),
    )
    op.create_table(
        "catalogue_mappings",
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_catalogue_mappings")),
    )


def _products() -> None:
    op.create_table(
        "products",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("product_id", _ordered_text(100), nullable=False),
        sa.Column("title", sa.String(300), nullable=True),
        sa.Column("brand", _ordered_text(100), nullable=True),
        sa.Column("category", _ordered_text(300), nullable=True),
        sa.Column("price", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(3), nullable=True),
        sa.Column("rating", sa.Float(), nullable=True),
        sa.Column("ratings", sa.Integer(), nullable=True),
        sa.Column("stock", sa.Integer(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("discontinued_at", _MOMENT, nullable=True),
        sa.Column("digest", sa.LargeBinary(16), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["import_id"], ["catalogue_imports.id"], name=op.f("fk_products_import_id_catalogue_imports")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("product_id", name=op.f("uq_products_product_id")),
    )
    op.create_index("ix_products_category", "products", ["category", "id"])
    op.create_index("ix_products_brand", "products", ["brand", "id"])
    for name, where in (("listed", _LISTED), ("discontinued", _DISCONTINUED)):
        op.create_index(f"ix_products_{name}", "products", ["id"], postgresql_where=where, sqlite_where=where)
    op.create_table(
        "product_words",
        sa.Column("word", _ordered_text(40), nullable=False),
        sa.Column("product", _BIG_ID, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["product"], ["products.id"], name=op.f("fk_product_words_product_products")),
        sa.PrimaryKeyConstraint("word", "product", name=op.f("pk_product_words")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_product_words_product", "product_words", ["product"])


def _pictures() -> None:
    op.create_table(
        "product_images",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("product", _BIG_ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('new', 'embedded', 'unusable')", name=op.f("ck_product_images_state")),
        sa.ForeignKeyConstraint(
            ["product"], ["products.id"], name=op.f("fk_product_images_product_products")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product_images")),
        sa.UniqueConstraint("product", "position", name=op.f("uq_product_images_product_position")),
    )
    op.create_index(
        "ix_product_images_waiting",
        "product_images",
        ["id"],
        postgresql_where=_WAITING,
        sqlite_where=_WAITING,
    )
    op.create_table(
        "embedding_spaces",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("dimensions", sa.Integer(), nullable=False),
        sa.Column("metric", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.CheckConstraint(
            "state IN ('building', 'active', 'retired')", name=op.f("ck_embedding_spaces_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_embedding_spaces")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_embedding_spaces_name_version")),
    )
    op.create_index(
        "uq_embedding_spaces_active",
        "embedding_spaces",
        ["state"],
        unique=True,
        postgresql_where=_ACTIVE,
        sqlite_where=_ACTIVE,
    )
    op.create_table(
        "product_vectors",
        sa.Column("space_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("product_image_id", _BIG_ID, autoincrement=False, nullable=False),
        sa.Column("vector", sa.LargeBinary(256), nullable=False),
        sa.ForeignKeyConstraint(
            ["space_id"], ["embedding_spaces.id"], name=op.f("fk_product_vectors_space_id_embedding_spaces")
        ),
        sa.ForeignKeyConstraint(
            ["product_image_id"],
            ["product_images.id"],
            name=op.f("fk_product_vectors_product_image_id_product_images"),
        ),
        sa.PrimaryKeyConstraint("space_id", "product_image_id", name=op.f("pk_product_vectors")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_product_vectors_image", "product_vectors", ["product_image_id"])


def downgrade() -> None:
    op.drop_index("ix_returns_product", "returns")
    for table in (
        "product_vectors",
        "embedding_spaces",
        "product_images",
        "product_words",
        "products",
        "catalogue_mappings",
        "catalogue_import_faults",
        "catalogue_imports",
    ):
        op.drop_table(table)
