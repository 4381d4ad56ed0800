"""Versions of models and their history."""

import sqlalchemy as sa

from returns_pipeline.records.models import ModelAction, ModelStage
from returns_pipeline.store.tables.columns import UtcDateTime, metadata, one_of

#: Terms of partial indexes.
IS_ACTIVE = sa.text(f"stage = '{ModelStage.ACTIVE}'")

_SHADOW = sa.text("shadow_share IS NOT NULL")

model_versions = sa.Table(
    "model_versions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("stage", sa.String(16), nullable=False, server_default=ModelStage.CANDIDATE.value),
    # The share of each night's images that it predicts as a shadow; NULL for all other versions.
    sa.Column("shadow_share", sa.Float),
    sa.UniqueConstraint("name", "version"),
    one_of("stage", *ModelStage.written()),
    sa.CheckConstraint(
        "shadow_share IS NULL OR "
        f"(shadow_share > 0 AND shadow_share <= 1 AND stage <> '{ModelStage.ACTIVE}')",
        name="shadow_share",
    ),
)

# At most one version of a name is active, even if two people change it at the same time.
sa.Index(
    "uq_model_versions_active",
    model_versions.c.name,
    unique=True,
    postgresql_where=IS_ACTIVE,
    sqlite_where=IS_ACTIVE,
)

sa.Index(
    "uq_model_versions_shadow",
    model_versions.c.name,
    unique=True,
    postgresql_where=_SHADOW,
    sqlite_where=_SHADOW,
)

#: The history of changes of models. Rows are never changed.
model_changes = sa.Table(
    "model_changes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("from_version", sa.Integer),
    sa.Column("to_version", sa.Integer),
    sa.Column("forced", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    one_of("action", *ModelAction.written()),
)

sa.Index("ix_model_changes_name", model_changes.c.name, model_changes.c.id)
