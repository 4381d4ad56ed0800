"""Addresses of photos that feeds list, and when the file of each feed was read."""

import sqlalchemy as sa

from returns_pipeline.records.feeds import FeedState
from returns_pipeline.store.tables.columns import BigId, PathText, UtcDateTime, metadata, one_of

#: The last reading of each feed.
feed_readings = sa.Table(
    "feed_readings",
    metadata,
    sa.Column("feed", sa.String(255), primary_key=True),
    # Of the file: its inode, size and time. Empty if it could not be read.
    sa.Column("identity", PathText, nullable=False),
    sa.Column("read_at", UtcDateTime, nullable=False),
    sa.Column("lines", sa.Integer, nullable=False, server_default="0"),
    sa.Column("refused", sa.Integer, nullable=False, server_default="0"),
    # The first refused lines: [line, number of the return, reason].
    sa.Column("faults", sa.JSON, nullable=False),
    # Why it was not read to its end.
    sa.Column("error", sa.Text),
)

#: Each address that a feed has ever listed, once.
feed_addresses = sa.Table(
    "feed_addresses",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("feed", sa.String(255), nullable=False),
    # Of the address: an index on a long text would be as large as the table.
    sa.Column("digest", sa.LargeBinary(16), nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    # name:port
    sa.Column("host", sa.Text, nullable=False),
    # The return that the feed names for it.
    sa.Column("number", sa.String(100)),
    sa.Column("state", sa.String(16), nullable=False),
    # Why it is refused, or why the last attempt failed.
    sa.Column("reason", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    # Null: it may be asked for now.
    sa.Column("next_at", UtcDateTime),
    sa.UniqueConstraint("feed", "digest"),
    one_of("state", *FeedState.written()),
)

sa.Index("ix_feed_addresses_state", feed_addresses.c.feed, feed_addresses.c.state, feed_addresses.c.id)
