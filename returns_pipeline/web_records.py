"""Frozen values of the web: who may do what, and what people say of the model's answers."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from returns_pipeline.records import ImageState, ModelRef


class Role(StrEnum):
    """What somebody may do: look; look and review; everything."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    OPERATOR = "operator"

    @property
    def rank(self) -> int:
        """Higher may do all that lower may."""
        return list(Role).index(self)


class Access(NamedTuple):
    """A user or a machine's token; `ended_at` is when it was disabled or revoked."""

    name: str
    role: Role
    created_at: datetime
    ended_at: datetime | None


class JobKind(StrEnum):
    """What takes so long that nobody waits for it."""

    SCAN = "scan"
    RETRY = "retry"


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


class Shown(NamedTuple):
    """One image of a page of a list, with the answer of its run's model; None in a field means none."""

    id: int
    run_id: int
    path: str
    state: "ImageState"
    code: str | None
    detail: str | None
    label: str | None
    probability: float | None
    main_label: str | None
    main_probability: float | None
    decision: str | None
    reviewed_label: str | None
    reviewer: str | None


class Picture(NamedTuple):
    """Where an image's file lies; `size` in bytes, `width` and `height` in pixels or None."""

    path: str
    size: int
    width: int | None
    height: int | None


class ToExplain(NamedTuple):
    """An image to explain: where it lies, the digest of its file, and which label of which model."""

    picture: Picture
    sha256: str
    chunk_id: int
    model: "ModelRef"
    model_sha256: str
    model_version_id: int
    label_index: int


class Explanation(NamedTuple):
    """What a model looked at: `heat` uint8, `height` rows of `width`, over the whole image.

    `similar` holds (image id, cosine) pairs of earlier returns, most similar first. With a `fault`, the rest
    is empty.
    """

    fault: str | None
    height: int
    width: int
    heat: bytes
    similar: "Sequence[tuple[int, float]]"


class Filter(NamedTuple):
    """Which images to show; None in a field means all."""

    run_id: int | None = None
    state: "ImageState | None" = None
    label: str | None = None
    decision: str | None = None
    code: str | None = None
    least: float | None = None
    most: float | None = None


class ReviewAction(StrEnum):
    """What a person did with an image."""

    ACCEPT = "accept"
    CORRECT = "correct"
    SKIP = "skip"
    UNDO = "undo"


class ReviewItem(NamedTuple):
    """An image that a person looks at; `top` holds (label index, probability) pairs, best first."""

    image_id: int
    run_id: int
    kind: str
    path: str
    label: str
    probability: float
    main_label: str
    top: "Sequence[tuple[int, float]]"
    model_name: str
    model_version: int


class ReviewCounts(NamedTuple):
    """How much waits for a person, and how often the model was right where one has looked."""

    waiting: int
    doubts: int
    doubts_right: int
    audits: int
    audits_right: int


class Received(NamedTuple):
    """One image that came over HTTP, and what became of it; None in a field means no answer.

    `top` holds the (label index, probability) pairs of all labels, best first.
    """

    id: int
    state: "ImageState"
    code: str | None
    detail: str | None
    label_index: int | None
    label: str | None
    probability: float | None
    main_label: str | None
    main_probability: float | None
    top: "Sequence[tuple[int, float]] | None"
    decision: str | None
