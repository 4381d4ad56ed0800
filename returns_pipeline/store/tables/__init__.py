"""The tables. `migrations/` makes them; a test asserts that both agree.

Importing this package is enough for the metadata to be complete.
"""

from returns_pipeline.store.tables.access_tables import api_tokens, users
from returns_pipeline.store.tables.columns import BigId, PathText, UtcDateTime, escape_path, metadata, one_of
from returns_pipeline.store.tables.explanation_tables import explanations
from returns_pipeline.store.tables.image_tables import IDENTITY, embeddings, images, predictions
from returns_pipeline.store.tables.job_tables import OPEN, jobs, request_keys
from returns_pipeline.store.tables.model_tables import model_changes, model_versions
from returns_pipeline.store.tables.review_tables import HELD, WAITING, review_changes, reviews
from returns_pipeline.store.tables.run_tables import (
    NOT_CLOSED,
    UNFINISHED,
    chunks,
    run_labels,
    run_stages,
    runs,
)

__all__ = [
    "HELD",
    "IDENTITY",
    "NOT_CLOSED",
    "OPEN",
    "UNFINISHED",
    "WAITING",
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
    "one_of",
    "predictions",
    "request_keys",
    "review_changes",
    "reviews",
    "run_labels",
    "run_stages",
    "runs",
    "users",
]
