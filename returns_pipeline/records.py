"""Frozen values that pass between the steps. No database row and no dict of anything crosses a boundary.

What exists once for every image is a NamedTuple with its path as a string: a frozen dataclass and a Path cost
several microseconds each to make, which is more than SQLite needs for the row.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from returns_pipeline.errors import FaultCode


class RunKind(StrEnum):
    """Who asked for a run."""

    NIGHTLY = "nightly"
    CATCH_UP = "catch-up"
    ADHOC = "adhoc"
    RETRY = "retry"
    API = "api"


class RunState(StrEnum):
    """Where a run stands: files come in, chunks are worked on, the report is written, all is done."""

    SCANNING = "scanning"
    RUNNING = "running"
    CLOSING = "closing"
    CLOSED = "closed"


class ImageState(StrEnum):
    """Where an image stands. Quarantined is the image's own fault, failed is ours."""

    PENDING = "pending"
    CLASSIFIED = "classified"
    QUARANTINED = "quarantined"
    FAILED = "failed"


class Decision(StrEnum):
    """Whether the prediction stands by itself or a person should look."""

    AUTO = "auto"
    REVIEW = "review"


class ModelStage(StrEnum):
    """Where a model's version stands: it waits, it works at night, it has worked."""

    CANDIDATE = "candidate"
    ACTIVE = "active"
    ARCHIVED = "archived"


class ModelAction(StrEnum):
    """What can be done to a model.

    `first use`: a run made the highest version on disk the active one. `shadow`: a version answers for a part
    of each night beside the active one, or does so no more.
    """

    REGISTER = "register"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    FIRST_USE = "first use"
    SHADOW = "shadow"


class FoundFile(NamedTuple):
    """One file as the intake saw it: `size` in bytes, times in nanoseconds since the epoch."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class ModelRef:
    """One version of one model, as `NAME/VERSION`."""

    name: str
    version: int

    def __str__(self) -> str:
        """Return `NAME/VERSION`."""
        return f"{self.name}/{self.version}"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the table of models keeps of a bundle: `sha256` is the digest of the whole."""

    ref: ModelRef
    sha256: str
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One version of a model as its table has it.

    `shadow_share` is the part of each night's images that it answers beside the active version.
    """

    facts: ModelFacts
    stage: ModelStage
    created_at: datetime
    shadow_share: float | None


@dataclass(frozen=True, slots=True)
class ModelChange:
    """One change of a model: `before` and `after` are versions, None for none."""

    changed_at: datetime
    action: ModelAction
    who: str
    name: str
    before: int | None
    after: int | None
    forced: bool
    reason: str


class AnswerPair(NamedTuple):
    """What two versions of a model say of one image; `after` is None where the second has no answer."""

    path: str
    before: str
    after: str | None


@dataclass(frozen=True, slots=True)
class ImageInput:
    """What a model takes: `height` x `width` pixels of 1 (grey) or 3 (RGB) `channels`, uint8."""

    height: int
    width: int
    channels: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels


class ImageFacts(NamedTuple):
    """What reading a file told. `width` and `height` in pixels after orientation, as a person sees them."""

    sha256: str
    format: str
    width: int
    height: int


class Decoded(NamedTuple):
    """One image ready for the model: `pixels` uint8 [h, w, c] and the facts about its file."""

    pixels: "NDArray[np.uint8]"
    facts: ImageFacts


@dataclass(frozen=True, slots=True)
class Scores:
    """A model's answers for a batch: `probabilities` float32 [n, labels], each row sums to 1.

    `features` float32 [n, f], f <= 64, is what its last convolution saw, averaged over the image and
    projected; None for a network without one.
    """

    probabilities: "NDArray[np.float32]"
    features: "NDArray[np.float32] | None" = None


class GradCamMap(NamedTuple):
    """What a model looked at: `heat` float32 [rows, columns], 0 to 1, over the whole image.

    `features` float32 [f] is the image's row of Scores.features.
    """

    heat: "NDArray[np.float32]"
    features: "NDArray[np.float32]"


class Embedded(NamedTuple):
    """Embeddings of a chunk's images: the bytes of `image_ids` int64 [n], of `vectors` int8 [n, 64]."""

    image_ids: bytes
    vectors: bytes


class Prediction(NamedTuple):
    """One model's answer for one image; `top` holds the (label index, probability) pairs, best first."""

    label_index: int
    label: str
    probability: float
    main_label: str
    main_probability: float
    top: tuple[tuple[int, float], ...]
    decision: Decision


@dataclass(frozen=True, slots=True)
class WantedPrecision:
    """A share of right answers, 0 < `precision` <= 1, that the answers which no person sees must reach."""

    precision: float

    def __str__(self) -> str:
        """Return it as it is written in the settings: `precision:0.98`."""
        return f"precision:{self.precision}"


#: From which probability on an answer stands by itself: one for all labels, or what reaches a precision.
ReviewThreshold = float | WantedPrecision


class PendingImage(NamedTuple):
    """One image of a claimed chunk that still needs an answer."""

    id: int
    path: str
    size: int
    mtime_ns: int


class Outcome(NamedTuple):
    """What became of one image: facts and a prediction, or a fault code with a sentence."""

    image_id: int
    state: ImageState
    facts: ImageFacts | None = None
    prediction: Prediction | None = None
    code: "FaultCode | None" = None
    detail: str | None = None
    destination: str | None = None


class Move(NamedTuple):
    """One file that goes to the archive or to quarantine after its result is committed."""

    image_id: int
    source: str
    destination: str
    size: int
    mtime_ns: int


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


class ImageResult(NamedTuple):
    """One image as reports and the command line show it."""

    id: int
    path: str
    state: ImageState
    code: str | None
    detail: str | None
    archived_path: str | None
    label_index: int | None
    label: str | None
    probability: float | None
    main_label: str | None
    decision: str | None

    @property
    def lies_at(self) -> str:
        """Where the file lies now: in the archive once it has been moved, else where it came in."""
        return self.archived_path or self.path

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return self.path.rpartition("/")[2]
