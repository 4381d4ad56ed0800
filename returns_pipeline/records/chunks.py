"""Chunks: a worker's unit of work, claimed with a lease."""

from dataclasses import dataclass
from enum import StrEnum

from returns_pipeline.records.images import PendingImage
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.runs import RunKind


class ChunkState(StrEnum):
    """The state of a chunk: waiting for a worker; claimed by one; results and files in place."""

    OPEN = "open"
    LEASED = "leased"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Shadow:
    """A model version on trial that also predicts a `share`, 0 to 1, of a night's images."""

    model: ModelRef
    model_version_id: int
    model_sha256: str
    share: float


@dataclass(frozen=True, slots=True)
class Claim:
    """A chunk that only this process may work on until its lease expires.

    `attempt` is the number of this attempt, from 1. `error` is the error of the previous attempt, None if its
    process died. `size` counts all images of the chunk, `images` holds those that are still pending.
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
