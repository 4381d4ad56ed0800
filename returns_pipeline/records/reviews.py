"""Reviews of predictions by people."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from returns_pipeline.records.stored_enum import StoredEnum

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class ReviewKind(StoredEnum):
    """Why an image is in the review queue.

    DOUBT: the model was unsure. AUDIT: a sample of the sure ones. MARKED: a person marked its prediction as
    wrong among many others.
    """

    DOUBT = "doubt"
    AUDIT = "audit"
    MARKED = "marked"
    UNKNOWN = "unknown"


class ReviewAction(StrEnum):
    """What a reviewer did with an image."""

    ACCEPT = "accept"
    CORRECT = "correct"
    SKIP = "skip"
    UNDO = "undo"


class ReviewOutcome(StrEnum):
    """What a review says of an image. Only LABEL names a category; RETURNS_REVIEW_OUTCOMES adds others."""

    LABEL = "label"
    NONE_OF_THESE = "none_of_these"
    UNREADABLE = "unreadable"
    RETAKE = "retake"


class Word(NamedTuple):
    """A person's word on an image: a label with its main category, or an outcome without a label."""

    outcome: str
    label: str | None = None
    main_label: str | None = None


class Judgement(NamedTuple):
    """A person's word on one image of several; None puts the image aside, for a review of its own.

    `replaces` is the id of the review that the person saw, None for none.
    """

    image_id: int
    word: Word | None
    replaces: int | None = None


class ReviewScope(NamedTuple):
    """Which images of the queue a person reviews; None chooses all.

    `predicted` is the label of the prediction, `intake` the folder that was scanned. `since` (inclusive) and
    `until` (exclusive) bound the moment at which the run was opened.
    """

    run_id: int | None = None
    predicted: str | None = None
    intake: str | None = None
    kind: ReviewKind | None = None
    since: "datetime | None" = None
    until: "datetime | None" = None


class GridImage(NamedTuple):
    """One of many images of a predicted category. `probability` is that of the prediction."""

    image_id: int
    path: str
    probability: float
    chunk_id: int
    model_version_id: int


class BatchCounts(NamedTuple):
    """How many images a person accepted, corrected and put aside together."""

    accepted: int
    corrected: int
    aside: int


class WaitingRun(NamedTuple):
    """A run with images that wait for a review, and how many."""

    id: int
    kind: str
    opened_at: "datetime"
    intake: str | None
    waiting: int


class ReviewItem(NamedTuple):
    """An image to review; `top` holds (label index, probability) pairs, best first.

    `kind` is None for an image that is not in the queue. `label` to `top` are None without a prediction.
    `review_id` is the review that counts now, None before the first.
    """

    image_id: int
    run_id: int
    kind: ReviewKind | None
    path: str
    label: str | None
    probability: float | None
    main_label: str | None
    top: "Sequence[tuple[int, float]] | None"
    model_name: str
    model_version: int
    state: str
    review_id: int | None
    unfamiliar: bool = False


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """An image with everything that a reviewer needs to decide.

    `kind` is `doubt` or `audit`, None for an image that is not in the queue. `model` is NAME/VERSION. `top`
    holds the (label, probability) pairs of the best labels, best first; `label`, `probability` and
    `main_label` are None without a prediction. `labels` are all that can be chosen. `review_id` is the review
    that counts now, None before the first. `unfamiliar`: the photo is unlike anything the model was trained
    on.
    """

    image_id: int
    run_id: int
    name: str
    kind: ReviewKind | None
    model: str
    label: str | None
    probability: float | None
    main_label: str | None
    top: tuple[tuple[str, float], ...]
    labels: tuple[str, ...]
    review_id: int | None
    unfamiliar: bool = False


class Undone(NamedTuple):
    """What an undo took back: the images, and the image that the reviewer holds again, if it was queued."""

    image_ids: tuple[int, ...]
    item: ReviewItem | None


class Event(NamedTuple):
    """One step in the history of an image: `what` is a code, `who` a person, a model or empty.

    `what` is one of received, predicted, finished, moved, and the values of ReviewAction. `detail` is a
    label, an outcome, a state, or where the file was moved to: `archive` or `quarantine`.
    """

    at: "datetime"
    what: str
    who: str
    detail: str


class ReviewCounts(NamedTuple):
    """How many images wait for a review; how many were reviewed, and for how many the model was right.

    Counted up to a limit, of the newest reviews.
    """

    waiting: int
    doubts: int
    doubts_right: int
    audits: int
    audits_right: int
