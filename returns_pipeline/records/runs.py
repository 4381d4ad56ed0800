"""Runs: their requests, progress and counts."""

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
        """Whether the run is that of a night, opened in time or late."""
        return self in NIGHTS

    @property
    def is_of_intake(self) -> bool:
        """Whether the run's photos came through an intake folder, so that they are returned items."""
        return self in OF_INTAKE


NIGHTS = frozenset({RunKind.NIGHTLY, RunKind.CATCH_UP})
OF_INTAKE = NIGHTS | {RunKind.SCAN}


class RunState(StoredEnum):
    """The state of a run: files are found; chunks are processed; the report is written; finished."""

    SCANNING = "scanning"
    RUNNING = "running"
    CLOSING = "closing"
    CLOSED = "closed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A request for a run. A repeated delivery has the same `id`."""

    id: str
    kind: RunKind
    directory: Path | None
    model: ModelRef
    model_sha256: str
    model_metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class RunCounts:
    """A run's images by state. Those that are in none of the three states are pending."""

    seen: int
    classified: int
    quarantined: int
    failed: int

    @property
    def pending(self) -> int:
        """Images without a result; 0 in a run that may close."""
        return self.seen - self.classified - self.quarantined - self.failed


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """What a scan left in its intake; 0 for a run that scanned nothing.

    `still_changing` files were still being written, so a later scan takes them. `skipped` files and folders
    have a name that scans skip. `unreadable_folders` could not be listed, so their files are unknown.
    """

    still_changing: int = 0
    skipped: int = 0
    unreadable_folders: int = 0


NOTHING_LEFT = LeftBehind()


@dataclass(frozen=True, slots=True)
class Progress:
    """A run's progress: `done` of `total` images."""

    state: RunState
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class OpenWork:
    """Unfinished work: `chunks` and `images`; `leased` chunks are being processed.

    `oldest` is when the oldest run with open work was opened. `fault` is the error of a chunk's last attempt.
    """

    chunks: int
    images: int
    leased: int
    oldest: datetime | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in numbers; None means not yet known.

    `coloured` counts the photos whose colours the run's model does not see, and `requests` what object stores
    were asked while its photos were classified and moved. Lists of runs leave both out: None.
    `rows_removed_at` is when the last row of its photos was removed because of its age.
    """

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
    left: LeftBehind = NOTHING_LEFT
    coloured: int | None = None
    rows_removed_at: datetime | None = None
    requests: int | None = None

    @property
    def seconds(self) -> float | None:
        """Seconds from opening to closing, or None while the run is open."""
        if self.closed_at is None:
            return None
        # A clock that was set back during the run gives no negative time.
        return max(0.0, (self.closed_at - self.opened_at).total_seconds())

    @property
    def images_per_second(self) -> float | None:
        """Images seen per second of the whole run, or None while the run is open."""
        return self.counts.seen / self.seconds if self.seconds else None
