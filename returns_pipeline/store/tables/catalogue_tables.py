"""The catalogue: products, the words that find them, pictures, embedding spaces and vectors, and imports."""

from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from returns_pipeline.records.catalogue import PictureState, SpaceState
from returns_pipeline.store.tables.columns import BigId, PathText, UtcDateTime, metadata, one_of, ordered_text

#: Terms of partial indexes.
LISTED = sa.text("discontinued_at IS NULL")
DISCONTINUED = sa.text("discontinued_at IS NOT NULL")
WAITING_PICTURE = sa.text(f"state = '{PictureState.NEW}' AND folder IS NOT NULL")
OF_UPLOAD = sa.text("image_id IS NULL")
IS_ACTIVE_SPACE = sa.text(f"state = '{SpaceState.ACTIVE}'")


class Money(sa.types.TypeDecorator[Decimal]):
    """An amount with two decimals, stored as a whole number of hundredths. SQLite has no decimal numbers."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Convert to hundredths."""
        return None if value is None else round(value * 100)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """Return an amount."""
        return None if value is None else Decimal(value).scaleb(-2)


#: Each file, folder or request over HTTP that said what the shop sells.
catalogue_imports = sa.Table(
    "catalogue_imports",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    # Null until the last line is taken.
    sa.Column("finished_at", UtcDateTime),
    sa.Column("who", sa.String(100), nullable=False),
    sa.Column("source", sa.String(255), nullable=False),
    # Whether products that it does not have are discontinued.
    sa.Column("is_complete", sa.Boolean, nullable=False),
    sa.Column("lines", sa.Integer, nullable=False, server_default="0"),
    sa.Column("added", sa.Integer, nullable=False, server_default="0"),
    sa.Column("changed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("unchanged", sa.Integer, nullable=False, server_default="0"),
    sa.Column("refused", sa.Integer, nullable=False, server_default="0"),
    sa.Column("discontinued", sa.Integer, nullable=False, server_default="0"),
    # Why it was not read to its end.
    sa.Column("error", sa.Text),
)

#: The first refused lines of each import.
catalogue_import_faults = sa.Table(
    "catalogue_import_faults",
    metadata,
    sa.Column("import_id", sa.ForeignKey("catalogue_imports.id"), primary_key=True, autoincrement=False),
    # Counts from 0 within the import, which may have several files.
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("source", sa.String(255), nullable=False),
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("product_id", sa.String(100), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

#: Where a shop's files have each field, saved under a name.
catalogue_mappings = sa.Table(
    "catalogue_mappings",
    metadata,
    sa.Column("name", sa.String(60), primary_key=True),
    # {field: name of the column, or a path like price.amount}
    sa.Column("columns", sa.JSON, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)

products = sa.Table(
    "products",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    # The shop's id.
    sa.Column("product_id", ordered_text(100), nullable=False, unique=True),
    sa.Column("title", sa.String(300)),
    sa.Column("brand", ordered_text(100)),
    # A path like Apparel/Topwear/Tshirts.
    sa.Column("category", ordered_text(300)),
    sa.Column("price", Money),
    # ISO 4217; null if the shop names none.
    sa.Column("currency", sa.String(3)),
    # 0 to 5, the mean of `ratings` ratings.
    sa.Column("rating", sa.Float),
    sa.Column("ratings", sa.Integer),
    # Null: not known.
    sa.Column("stock", sa.Integer),
    sa.Column("description", sa.Text),
    # {name: text, number, true or false, or a list of these}; a nested name is like dimensions.width
    sa.Column("attributes", sa.JSON, nullable=False),
    # When it was gone from the shop's complete list; null while it is sold.
    sa.Column("discontinued_at", UtcDateTime),
    # Of the line that changed the row last: the same line again changes nothing.
    sa.Column("digest", sa.LargeBinary(16), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    # The import that changed it last; null if a request for this product alone did.
    sa.Column("import_id", sa.ForeignKey("catalogue_imports.id")),
)

# Each list of products is in the order of their ids, newest first: see store/product_lists.py.
sa.Index("ix_products_category", products.c.category, products.c.id)
sa.Index("ix_products_brand", products.c.brand, products.c.id)
# Substitutes are next in price; see store/candidates.py.
sa.Index(
    "ix_products_price",
    products.c.category,
    products.c.currency,
    products.c.price,
    products.c.id,
    postgresql_where=LISTED,
    sqlite_where=LISTED,
)
sa.Index("ix_products_listed", products.c.id, postgresql_where=LISTED, sqlite_where=LISTED)
sa.Index("ix_products_discontinued", products.c.id, postgresql_where=DISCONTINUED, sqlite_where=DISCONTINUED)

#: The words of each product: of its id, title, brand and category, folded. A search finds their beginnings.
product_words = sa.Table(
    "product_words",
    metadata,
    sa.Column("word", ordered_text(40), primary_key=True),
    sa.Column("product", sa.ForeignKey("products.id"), primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

sa.Index("ix_product_words_product", product_words.c.product)

#: Products that a person has removed from the catalogue. A row goes when the shop adds the product again.
removed_products = sa.Table(
    "removed_products",
    metadata,
    # The shop's id.
    sa.Column("product_id", ordered_text(100), primary_key=True),
    sa.Column("removed_at", UtcDateTime, nullable=False),
    sa.Column("removed_by", sa.String(100), nullable=False),
    sqlite_with_rowid=False,
)

product_images = sa.Table(
    "product_images",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("product", sa.ForeignKey("products.id"), nullable=False),
    # 0 is the picture that a list shows.
    sa.Column("position", sa.Integer, nullable=False),
    # The folder that the address is below; null if it is an address of the web.
    sa.Column("folder", PathText),
    sa.Column("address", PathText, nullable=False),
    # Of the file that was embedded last, in hexadecimal digits.
    sa.Column("sha256", sa.String(64)),
    sa.Column("state", sa.String(16), nullable=False),
    # Why it is unusable.
    sa.Column("reason", sa.Text),
    sa.UniqueConstraint("product", "position"),
    one_of("state", *PictureState.written()),
)

sa.Index(
    "ix_product_images_waiting",
    product_images.c.id,
    postgresql_where=WAITING_PICTURE,
    sqlite_where=WAITING_PICTURE,
)

#: What vectors mean: those of different spaces cannot be compared.
embedding_spaces = sa.Table(
    "embedding_spaces",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("dimensions", sa.Integer, nullable=False),
    sa.Column("metric", sa.String(16), nullable=False),
    # sha256 of the model that computes the vectors.
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    # Raised with each change of its vectors: an index of another revision is stale.
    sa.Column("revision", sa.BigInteger, nullable=False, server_default="0"),
    sa.UniqueConstraint("name", "version"),
    one_of("state", *SpaceState.written()),
)

sa.Index(
    "uq_embedding_spaces_active",
    embedding_spaces.c.state,
    unique=True,
    postgresql_where=IS_ACTIVE_SPACE,
    sqlite_where=IS_ACTIVE_SPACE,
)

product_vectors = sa.Table(
    "product_vectors",
    metadata,
    sa.Column("space_id", sa.ForeignKey("embedding_spaces.id"), primary_key=True, autoincrement=False),
    sa.Column("product_image_id", sa.ForeignKey("product_images.id"), primary_key=True, autoincrement=False),
    # int8, at most 256.
    sa.Column("vector", sa.LargeBinary(256), nullable=False),
    sqlite_with_rowid=False,
)

sa.Index("ix_product_vectors_image", product_vectors.c.product_image_id)

#: Pictures that a worker embeds together: those of a range of ids that need it. The row goes when it is done.
embedding_chunks = sa.Table(
    "embedding_chunks",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("space_id", sa.ForeignKey("embedding_spaces.id"), nullable=False),
    sa.Column("first_image", BigId, nullable=False),
    sa.Column("last_image", BigId, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("sent_at", UtcDateTime, nullable=False),
    # The message that works on it; null: none does.
    sa.Column("lease_owner", sa.String(255)),
    sa.Column("lease_token", sa.String(32)),
    sa.Column("lease_until", UtcDateTime),
    sa.UniqueConstraint("space_id", "first_image"),
)

#: The vectors of photos, computed once, on request. Until then both `vector` and `fault` are null.
photo_looks = sa.Table(
    "photo_looks",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("space_id", sa.ForeignKey("embedding_spaces.id"), nullable=False),
    # Null: a photo that was sent to find products alone. Its row and its file are kept for a short time.
    sa.Column("image_id", sa.ForeignKey("images.id")),
    # The spool file of such a photo.
    sa.Column("path", PathText),
    sa.Column("size", sa.BigInteger),
    sa.Column("asked_at", UtcDateTime, nullable=False),
    # int8, at most 256.
    sa.Column("vector", sa.LargeBinary(256)),
    # Why there is none.
    sa.Column("fault", sa.Text),
    sa.UniqueConstraint("image_id", "space_id"),
)

sa.Index("ix_photo_looks_uploads", photo_looks.c.asked_at, postgresql_where=OF_UPLOAD, sqlite_where=OF_UPLOAD)

#: How much altered pictures look like their own product, compared with the others. Verdicts on products get
#: their rate of false alarms from it.
product_calibrations = sa.Table(
    "product_calibrations",
    metadata,
    sa.Column("space_id", sa.ForeignKey("embedding_spaces.id"), primary_key=True, autoincrement=False),
    # When a process began with it; another one begins again after some minutes.
    sa.Column("begun_at", UtcDateTime, nullable=False),
    # How many vectors the space had; null until there is a result.
    sa.Column("vectors", sa.BigInteger),
    # float32, ascending, little-endian; see returns_pipeline.verdicts.products.
    sa.Column("margins", sa.LargeBinary),
    # What is measured so far, in the order of the photos; NaN for one that could not be measured.
    sa.Column("partial", sa.LargeBinary),
)
