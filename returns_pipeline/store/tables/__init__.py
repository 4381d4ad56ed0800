"""The tables. `migrations/` creates them, and a test compares both.

Importing this package completes the metadata.
"""

from returns_pipeline.store.tables.access_tables import api_tokens, users
from returns_pipeline.store.tables.audit_tables import audit_events
from returns_pipeline.store.tables.catalogue_tables import (
    catalogue_import_faults,
    catalogue_imports,
    catalogue_mappings,
    embedding_chunks,
    embedding_spaces,
    photo_looks,
    product_calibrations,
    product_images,
    product_vectors,
    product_words,
    products,
    removed_products,
)
from returns_pipeline.store.tables.columns import BigId, PathText, UtcDateTime, escape_path, metadata, one_of
from returns_pipeline.store.tables.event_tables import (
    events,
    forgotten_customers,
    learnings,
    product_neighbours,
)
from returns_pipeline.store.tables.explanation_tables import explanations
from returns_pipeline.store.tables.feed_tables import feed_addresses, feed_readings
from returns_pipeline.store.tables.image_tables import (
    IDENTITY,
    NOT_CLASSIFIED,
    OF_RETURN,
    REVIEWED,
    UNSURE,
    WITHOUT_SOURCE,
    embeddings,
    image_codes,
    image_fingerprints,
    images,
    predictions,
)
from returns_pipeline.store.tables.job_tables import OPEN, jobs, request_keys
from returns_pipeline.store.tables.likeness_tables import (
    compared_images,
    image_keys,
    image_matches,
    uncompared_chunks,
)
from returns_pipeline.store.tables.model_tables import IS_ACTIVE, model_changes, model_versions
from returns_pipeline.store.tables.outbox_tables import GIVEN_UP, NOT_SPREAD, UNDELIVERED, deliveries, outbox
from returns_pipeline.store.tables.removal_tables import file_removals, retention_passes
from returns_pipeline.store.tables.retraining_tables import IS_OPEN, retrainings
from returns_pipeline.store.tables.return_tables import (
    AWAITED,
    product_comparisons,
    return_events,
    return_import_faults,
    return_imports,
    return_mappings,
    returns,
    returns_to_compare,
    returns_to_judge,
)
from returns_pipeline.store.tables.review_tables import (
    HELD,
    IN_BATCH,
    OF_OLDER_RELEASE,
    WAITING,
    review_changes,
    reviews,
)
from returns_pipeline.store.tables.run_tables import (
    COLOURED,
    CORRECTED,
    KEPT,
    NOT_CLOSED,
    UNFINISHED,
    chunks,
    of_stages,
    run_labels,
    run_stages,
    runs,
)
from returns_pipeline.store.tables.schema_tables import schema_compatibility
from returns_pipeline.store.tables.search_tables import search_grams, search_progress
from returns_pipeline.store.tables.view_tables import SHARED, views

__all__ = [
    "AWAITED",
    "COLOURED",
    "CORRECTED",
    "GIVEN_UP",
    "HELD",
    "IDENTITY",
    "IN_BATCH",
    "IS_ACTIVE",
    "IS_OPEN",
    "KEPT",
    "NOT_CLASSIFIED",
    "NOT_CLOSED",
    "NOT_SPREAD",
    "OF_OLDER_RELEASE",
    "OF_RETURN",
    "OPEN",
    "REVIEWED",
    "SHARED",
    "UNDELIVERED",
    "UNFINISHED",
    "UNSURE",
    "WAITING",
    "WITHOUT_SOURCE",
    "BigId",
    "PathText",
    "UtcDateTime",
    "api_tokens",
    "audit_events",
    "catalogue_import_faults",
    "catalogue_imports",
    "catalogue_mappings",
    "chunks",
    "compared_images",
    "deliveries",
    "embedding_chunks",
    "embedding_spaces",
    "embeddings",
    "escape_path",
    "events",
    "explanations",
    "feed_addresses",
    "feed_readings",
    "file_removals",
    "forgotten_customers",
    "image_codes",
    "image_fingerprints",
    "image_keys",
    "image_matches",
    "images",
    "jobs",
    "learnings",
    "metadata",
    "model_changes",
    "model_versions",
    "of_stages",
    "one_of",
    "outbox",
    "photo_looks",
    "predictions",
    "product_calibrations",
    "product_comparisons",
    "product_images",
    "product_neighbours",
    "product_vectors",
    "product_words",
    "products",
    "removed_products",
    "request_keys",
    "retention_passes",
    "retrainings",
    "return_events",
    "return_import_faults",
    "return_imports",
    "return_mappings",
    "returns",
    "returns_to_compare",
    "returns_to_judge",
    "review_changes",
    "reviews",
    "run_labels",
    "run_stages",
    "runs",
    "schema_compatibility",
    "search_grams",
    "search_progress",
    "uncompared_chunks",
    "users",
    "views",
]
