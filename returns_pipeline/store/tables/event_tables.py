"""What customers did with products, and which products the same customers kept; when that was computed."""

import sqlalchemy as sa

from returns_pipeline.records.recommendations import EventKind
from returns_pipeline.store.tables.columns import UtcDateTime, metadata, one_of, ordered_text

#: The key is in the order in which a customer's newest events are read.
events = sa.Table(
    "events",
    metadata,
    # The shop's reference of the customer, as in `returns`.
    sa.Column("customer", ordered_text(100), primary_key=True),
    sa.Column("at", UtcDateTime, primary_key=True),
    # The shop's id. The product may be missing from the catalogue.
    sa.Column("product", ordered_text(100), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    one_of("kind", *EventKind.written()),
    sqlite_with_rowid=False,
)

#: When customers were forgotten: events until then are not taken again.
forgotten_customers = sa.Table(
    "forgotten_customers",
    metadata,
    # sha256 of the reference.
    sa.Column("digest", sa.LargeBinary(32), primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

#: The products that the same customers kept: computed from `events` by `recommendations learn`.
product_neighbours = sa.Table(
    "product_neighbours",
    metadata,
    sa.Column("product", ordered_text(100), primary_key=True),
    sa.Column("neighbour", ordered_text(100), primary_key=True),
    # Above 0, at most 1.
    sa.Column("similarity", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)

sa.Index("ix_product_neighbours_neighbour", product_neighbours.c.neighbour)

#: Each time when `product_neighbours` was computed, or should have been.
learnings = sa.Table(
    "learnings",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("started_at", UtcDateTime, nullable=False),
    # Null while it runs, or if its process was killed.
    sa.Column("finished_at", UtcDateTime),
    # Products with neighbours.
    sa.Column("products", sa.Integer),
    # Why it could not be done.
    sa.Column("fault", sa.Text),
)
