"""Explanations of predictions."""

import sqlalchemy as sa

from returns_pipeline.store.tables.columns import UtcDateTime, metadata

#: A heat map and similar earlier returns for a prediction, computed once, on request.
explanations = sa.Table(
    "explanations",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id"), primary_key=True, autoincrement=False),
    sa.Column("model_version_id", sa.ForeignKey("model_versions.id"), primary_key=True, autoincrement=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    # The reason of a failed explanation; then the map is empty.
    sa.Column("fault", sa.Text),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    # uint8, row by row; 255 is the strongest.
    sa.Column("heat", sa.LargeBinary, nullable=False),
    # [[image id, cosine], …], most similar first.
    sa.Column("similar", sa.JSON, nullable=False),
)
