"""Chunks: the unit of work of a worker, claimed with a lease."""

from dataclasses import dataclass
from enum import StrEnum

from returns_pipeline.records.images import PendingImage
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.runs import RunKind


class ChunkState(StrEnum):
    """Where a chunk stands: it waits for a worker, one has claimed it, its images are in their place."""

    OPEN = "open"
    LEASED = "leased"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Shadow:
    """A version that answers for `share` of a night's images beside the run's own; nothing depends on it."""

    model: ModelRef
    model_version_id: int
    model_sha256: str
    share: float


@dataclass(frozen=True, slots=True)
class Claim:
    """One chunk that this process alone may work on until its lease ends.

    `attempt` counts from 1 the claims that ended without a result, this one included; `error` is what the
    last of them met, None when its process just died. `size` counts all images of the chunk, `images` holds
    those that still need an answer.
    """

    chunk_id: int
    run_id: int
    kind: RunKind
    token: str
    attempt: int
    error: str | None
    size: int
    model: ModelRef
    model_version_id: int
    model_sha256: str
    images: tuple[PendingImage, ...]
    shadow: Shadow | None = None
