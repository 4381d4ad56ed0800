"""Images: one photo from the intake to its result, and as lists and pages show it."""

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from returns_pipeline.records.predictions import Prediction

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from returns_pipeline.errors import FaultCode


class ImageState(StrEnum):
    """Where an image stands. Quarantined is the image's own fault, failed is ours."""

    PENDING = "pending"
    CLASSIFIED = "classified"
    QUARANTINED = "quarantined"
    FAILED = "failed"


class FoundFile(NamedTuple):
    """One file as the intake saw it: `size` in bytes, times in nanoseconds since the epoch."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int


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


class ImageResult(NamedTuple):
    """One image with the prediction of its run's model, as every list, file and page shows it.

    None in a field means that there is no such value. `archived_path` is where the file has been moved to.
    Fields with a default are read for pages and lists only, not for the report and the export of a whole run.
    """

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
    main_probability: float | None = None
    run_id: int | None = None
    reviewed_label: str | None = None
    reviewer: str | None = None

    @property
    def lies_at(self) -> str:
        """Where the file lies now: in the archive once it has been moved, else where it came in."""
        return self.archived_path or self.path

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return self.path.rpartition("/")[2]


class Picture(NamedTuple):
    """Where an image's file lies; `size` in bytes, `width` and `height` in pixels or None."""

    path: str
    size: int
    width: int | None
    height: int | None


class Filter(NamedTuple):
    """Which images to show; None in a field means all."""

    run_id: int | None = None
    state: "ImageState | None" = None
    label: str | None = None
    decision: str | None = None
    code: str | None = None
    least: float | None = None
    most: float | None = None


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
