"""The index of file names for the search box. See `store.search_index`."""

import sqlalchemy as sa

from returns_pipeline.store.tables.columns import metadata

#: Which images of a block have a trigram in their names. A block is a range of BLOCK ids; a negative block is
#: a group of blocks, see store.search_groups.
search_grams = sa.Table(
    "search_grams",
    metadata,
    sa.Column("block", sa.BigInteger, primary_key=True, autoincrement=False),
    # Three code points of 21 bits each.
    sa.Column("gram", sa.BigInteger, primary_key=True, autoincrement=False),
    # The places of the images in the block: uint16 each, or a bitmap where that is shorter.
    sa.Column("places", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

#: How far the index goes; one row.
search_progress = sa.Table(
    "search_progress",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    # Images with an id below it are in the index.
    sa.Column("indexed_end", sa.BigInteger, nullable=False),
    # No image with an id below it can still be inserted.
    sa.Column("settled_end", sa.BigInteger, nullable=False),
    # PostgreSQL: the end of the ids at an earlier moment, and the first transaction after that moment.
    sa.Column("seen_end", sa.BigInteger, nullable=False),
    sa.Column("seen_transaction", sa.BigInteger, nullable=False),
    # Blocks below it are in their groups.
    sa.Column("grouped_end", sa.BigInteger, nullable=False, server_default="0"),
)
