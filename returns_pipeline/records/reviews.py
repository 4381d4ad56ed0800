"""Reviews: what a person says about a prediction."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


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


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """An image with everything that a reviewer needs to decide.

    `kind` is `doubt` or `audit`. `model` is NAME/VERSION. `top` holds the (label, probability) pairs of the
    best labels, best first. `labels` are all that can be chosen.
    """

    image_id: int
    run_id: int
    name: str
    kind: str
    model: str
    label: str
    probability: float
    main_label: str
    top: tuple[tuple[str, float], ...]
    labels: tuple[str, ...]


class ReviewCounts(NamedTuple):
    """How much waits for a person, and how often the model was right where one has looked."""

    waiting: int
    doubts: int
    doubts_right: int
    audits: int
    audits_right: int
