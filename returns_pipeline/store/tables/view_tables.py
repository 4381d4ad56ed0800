"""Named views: lists with their filters that people have saved."""

import sqlalchemy as sa

from returns_pipeline.store.tables.columns import UtcDateTime, metadata

#: A term of a partial index.
SHARED = sa.text("shared")

views = sa.Table(
    "views",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # The name of a user or of a token; these are in two tables.
    sa.Column("owner", sa.String(100), nullable=False),
    sa.Column("name", sa.String(60), nullable=False),
    sa.Column("path", sa.String(100), nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("shared", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("owner", "name"),
)

sa.Index("ix_views_shared", views.c.name, postgresql_where=SHARED, sqlite_where=SHARED)
