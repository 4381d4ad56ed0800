"""The tables. `migrations/` creates them, and a test compares both.

Importing this package completes the metadata.
"""

from returns_pipeline.store.tables.access_tables import api_tokens, users
from returns_pipeline.store.tables.columns import BigId, PathText, UtcDateTime, escape_path, metadata, one_of
from returns_pipeline.store.tables.explanation_tables import explanations
from returns_pipeline.store.tables.image_tables import (
    IDENTITY,
    REVIEWED,
    WITHOUT_SOURCE,
    embeddings,
    images,
    predictions,
)
from returns_pipeline.store.tables.job_tables import OPEN, jobs, request_keys
from returns_pipeline.store.tables.model_tables import IS_ACTIVE, model_changes, model_versions
from returns_pipeline.store.tables.review_tables import (
    HELD,
    OF_OLDER_RELEASE,
    WAITING,
    review_changes,
    reviews,
)
from returns_pipeline.store.tables.run_tables import (
    COLOURED,
    CORRECTED,
    NOT_CLOSED,
    UNFINISHED,
    chunks,
    of_stages,
    run_labels,
    run_stages,
    runs,
)
from returns_pipeline.store.tables.schema_tables import schema_compatibility

__all__ = [
    "COLOURED",
    "CORRECTED",
    "HELD",
    "IDENTITY",
    "IS_ACTIVE",
    "NOT_CLOSED",
    "OF_OLDER_RELEASE",
    "OPEN",
    "REVIEWED",
    "UNFINISHED",
    "WAITING",
    "WITHOUT_SOURCE",
    "BigId",
    "PathText",
    "UtcDateTime",
    "api_tokens",
    "chunks",
    "embeddings",
    "escape_path",
    "explanations",
    "images",
    "jobs",
    "metadata",
    "model_changes",
    "model_versions",
    "of_stages",
    "one_of",
    "predictions",
    "request_keys",
    "review_changes",
    "reviews",
    "run_labels",
    "run_stages",
    "runs",
    "schema_compatibility",
    "users",
]
