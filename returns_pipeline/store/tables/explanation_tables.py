"""What models looked at."""

import sqlalchemy as sa

from returns_pipeline.store.tables.columns import UtcDateTime, metadata

#: What a model looked at in an image, and which earlier returns are similar: computed once, when asked.
explanations = sa.Table(
    "explanations",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id"), primary_key=True, autoincrement=False),
    sa.Column("model_version_id", sa.ForeignKey("model_versions.id"), primary_key=True, autoincrement=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    # Why there is none; then the map has no rows.
    sa.Column("fault", sa.Text),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    # uint8, row by row: 255 is where it looked most.
    sa.Column("heat", sa.LargeBinary, nullable=False),
    # [[image id, cosine], …], most similar first.
    sa.Column("similar", sa.JSON, nullable=False),
)
