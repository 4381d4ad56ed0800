"""Runs: what asks for one, how far it is, its counts."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.stored_enum import StoredEnum


class RunKind(StoredEnum):
    """Why a run was opened."""

    NIGHTLY = "nightly"
    CATCH_UP = "catch-up"
    SCAN = "scan"
    ADHOC = "adhoc"
    RETRY = "retry"
    API = "api"
    UNKNOWN = "unknown"

    @property
    def is_night(self) -> bool:
        """Whether the run is a night's, opened in time or later."""
        return self in NIGHTS

    @property
    def is_of_intake(self) -> bool:
        """Whether the run's photos came through an intake folder: they are returned items for certain."""
        return self in OF_INTAKE


NIGHTS = frozenset({RunKind.NIGHTLY, RunKind.CATCH_UP})
OF_INTAKE = NIGHTS | {RunKind.SCAN}


class RunState(StoredEnum):
    """Where a run stands: files come in, chunks are worked on, the report is written, all is done."""

    SCANNING = "scanning"
    RUNNING = "running"
    CLOSING = "closing"
    CLOSED = "closed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One request for a run: `id` tells a repeated delivery from a new request."""

    id: str
    kind: RunKind
    directory: Path | None
    model: ModelRef
    model_sha256: str
    model_metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class RunCounts:
    """How many images a run has in each state; what is in none of the three is pending."""

    seen: int
    classified: int
    quarantined: int
    failed: int

    @property
    def pending(self) -> int:
        """Images without a result: 0 in a run that may close."""
        return self.seen - self.classified - self.quarantined - self.failed


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come: `done` of `total` images."""

    state: RunState
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class OpenWork:
    """What is not done yet; `oldest` is when the oldest run with open work was opened.

    `fault` is what keeps a chunk from being done, in the words of the last process that tried.
    """

    chunks: int
    images: int
    leased: int
    oldest: datetime | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in numbers; None in a field means not yet."""

    id: int
    kind: RunKind
    state: RunState
    directory: Path | None
    opened_at: datetime
    closed_at: datetime | None
    counts: RunCounts
    model: ModelRef
    csv: Path | None
    report: Path | None

    @property
    def seconds(self) -> float | None:
        """Seconds from opening to closing, or None while the run is open."""
        return (self.closed_at - self.opened_at).total_seconds() if self.closed_at else None

    @property
    def images_per_second(self) -> float | None:
        """Images seen per second of the whole run, or None while the run is open."""
        return self.counts.seen / self.seconds if self.seconds else None
