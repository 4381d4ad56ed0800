"""Reviews of predictions by people."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from returns_pipeline.records.stored_enum import StoredEnum

if TYPE_CHECKING:
    from collections.abc import Sequence


class ReviewKind(StoredEnum):
    """Why an image is in the review queue: the model was unsure, or it is a sample of the sure ones."""

    DOUBT = "doubt"
    AUDIT = "audit"
    UNKNOWN = "unknown"


class ReviewAction(StrEnum):
    """What a reviewer did with an image."""

    ACCEPT = "accept"
    CORRECT = "correct"
    SKIP = "skip"
    UNDO = "undo"


class ReviewItem(NamedTuple):
    """An image in review; `top` holds (label index, probability) pairs, best first."""

    image_id: int
    run_id: int
    kind: ReviewKind
    path: str
    label: str
    probability: float
    main_label: str
    top: "Sequence[tuple[int, float]]"
    model_name: str
    model_version: int


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """An image with everything that a reviewer needs to decide.

    `kind` is `doubt` or `audit`. `model` is NAME/VERSION. `top` holds the (label, probability) pairs of the
    best labels, best first. `labels` are all that can be chosen.
    """

    image_id: int
    run_id: int
    name: str
    kind: ReviewKind
    model: str
    label: str
    probability: float
    main_label: str
    top: tuple[tuple[str, float], ...]
    labels: tuple[str, ...]


class ReviewCounts(NamedTuple):
    """How many images wait for a review; how many were reviewed, and for how many the model was right."""

    waiting: int
    doubts: int
    doubts_right: int
    audits: int
    audits_right: int
