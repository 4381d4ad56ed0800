"""Jobs and requests of HTTP clients."""

from datetime import datetime
from typing import NamedTuple

from returns_pipeline.records.stored_enum import StoredEnum


class JobKind(StoredEnum):
    """What a job does."""

    SCAN = "scan"
    RETRY = "retry"
    UNKNOWN = "unknown"


class Job(NamedTuple):
    """A requested job. `run_id`: for a retry, the run whose images are retried, None for all runs."""

    id: str
    kind: JobKind
    run_id: int | None
    who: str
    created_at: datetime
    sent_at: datetime | None
    cancelled_at: datetime | None
    error: str | None
    is_open: bool


class RequestKey(NamedTuple):
    """The identity of an upload: `id` is the digest of user, route and key, `sha256` that of its images."""

    id: str
    sha256: str


class KeyedRequest(NamedTuple):
    """An upload that took a key, and the ids of its images in the order of the request."""

    sha256: str
    run_id: int
    images: tuple[int, ...]
