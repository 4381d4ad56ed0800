"""What the database says about its own schema."""

import sqlalchemy as sa

from returns_pipeline.store.tables.columns import metadata

#: The revisions whose programs work with the present schema; see `store.compatibility`.
schema_compatibility = sa.Table(
    "schema_compatibility",
    metadata,
    sa.Column("revision", sa.String(32), primary_key=True),
)
