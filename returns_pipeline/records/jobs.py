"""Jobs and requests that arrive over HTTP."""

from datetime import datetime
from typing import NamedTuple

from returns_pipeline.records.stored_enum import StoredEnum


class JobKind(StoredEnum):
    """What a job does."""

    SCAN = "scan"
    RETRY = "retry"
    UNKNOWN = "unknown"


class Job(NamedTuple):
    """Something that was asked for; `run_id` is the run whose images a retry is for, None for all."""

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
    """What tells a request from others: `id` of who sent it and its key, `sha256` of its images."""

    id: str
    sha256: str


class KeyedRequest(NamedTuple):
    """A request that has taken a key, and its images' ids in their order."""

    sha256: str
    run_id: int
    images: tuple[int, ...]
