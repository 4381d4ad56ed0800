"""Images: a photo from the intake to its result, and as lists and pages show it."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from returns_pipeline.errors import FaultCode
from returns_pipeline.records.codes import Code
from returns_pipeline.records.predictions import Prediction
from returns_pipeline.records.stored_enum import StoredEnum
from returns_pipeline.records.text import client_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class ImageState(StoredEnum):
    """The state of an image. Quarantined: the file is at fault. Failed: this system is at fault."""

    PENDING = "pending"
    CLASSIFIED = "classified"
    QUARANTINED = "quarantined"
    FAILED = "failed"
    UNKNOWN = "unknown"


class LabelSource(StoredEnum):
    """Whose word the final label of an image is. A slip of a return shows no item, so it has no label."""

    MODEL = "model"
    PERSON = "person"
    SLIP = "slip"
    UNKNOWN = "unknown"


class FoundFile(NamedTuple):
    """One photo as its source found it: `size` in bytes, times in nanoseconds since the epoch.

    `path` is its place and `identity` changes with its content, see photos.source. `mtime_ns` is the
    modification time, which programs can set; `changed_ns` is the last change that the source observed.
    `blocks` is the space that is allocated to the content, 0 if unknown. `now_ns` is a moment shortly before
    the photo was found, by the clock that sets `changed_ns`; None if unknown.
    """

    path: str
    size: int
    mtime_ns: int
    changed_ns: int
    identity: str
    blocks: int = 0
    now_ns: int | None = None


class ImageFacts(NamedTuple):
    """Facts about a file that was read; `width` and `height` in pixels, after orientation."""

    sha256: str
    format: str
    width: int
    height: int


class FaultyFacts(NamedTuple):
    """Facts about a file without a picture: the format that its first bytes name, None if they name none."""

    sha256: str
    format: str | None
    width: None = None
    height: None = None


class Decoded(NamedTuple):
    """An image ready for the model: `pixels` uint8 [h, w, c], and the facts about its file.

    `lost_colours`: the picture has colours, but the model takes grey pixels.
    """

    pixels: "NDArray[np.uint8]"
    facts: ImageFacts
    lost_colours: bool = False


class PendingImage(NamedTuple):
    """An image of a claimed chunk that has no result yet. `return_id`: it was sent for this return."""

    id: int
    path: str
    size: int
    identity: str
    return_id: int | None = None


class Outcome(NamedTuple):
    """The result of one image: facts and a prediction, or a fault code with a sentence.

    `codes` are those in the photo, if codes are read. `brightness` is the mean level of its pixels, 0 to 255.
    """

    image_id: int
    state: ImageState
    facts: ImageFacts | FaultyFacts | None = None
    prediction: Prediction | None = None
    code: FaultCode | None = None
    detail: str | None = None
    destination: str | None = None
    codes: tuple[Code, ...] = ()
    brightness: int | None = None


class Move(NamedTuple):
    """A file to move to the archive or to quarantine, after its result is committed."""

    image_id: int
    source: str
    destination: str
    identity: str


class ImageResult(NamedTuple):
    """One image with the prediction of its run's model, as every list, file and page shows it.

    None in a field means that there is no such value. `archived_path` is where the file has been moved to.
    `final_label` is the label of the newest review, else the prediction's; `final_source`, one of
    LabelSource, says which. After a review without a label, `final_label` is None and `review_outcome` says
    why. `familiarity`, 0 to 1, is the share of validation photos that were stranger to the model. A deleted
    image has no name, prediction or label. After `photo_removed_at` the photo is not kept any
    more, but its result is. The last three fields are read for pages and lists only, not for the report and
    the export of a whole run.
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
    final_label: str | None
    final_source: str | None
    review_outcome: str | None
    reviewed_label: str | None
    reviewer: str | None
    reviewed_at: datetime | None
    received_at: datetime
    run_id: int
    deleted_at: datetime | None
    photo_removed_at: datetime | None
    familiarity: float | None
    main_probability: float | None = None
    review_id: int | None = None
    deleted_by: str | None = None

    @property
    def lies_at(self) -> str:
        """The present path of the file: in the archive once it has been moved, else its source path."""
        return self.archived_path or self.path

    @property
    def has_photo(self) -> bool:
        """Whether the image was not deleted, and its photo was not removed because of its age."""
        return self.deleted_at is None and self.photo_removed_at is None

    @property
    def name(self) -> str:
        """The file's name without folders."""
        return client_name(self.path.rpartition("/")[2])


class Picture(NamedTuple):
    """An image's file: its present path, `size` in bytes, `width` and `height` in pixels or None.

    `is_damaged`: only a part of it may be readable. `image_id` is 0 for a file of no image.
    """

    path: str
    size: int
    width: int | None
    height: int | None
    is_damaged: bool = False
    image_id: int = 0


class FilePlace(StrEnum):
    """Where the file of an image is, as the database has it."""

    WAITING = "waiting"
    LEAVING = "leaving"
    STAYING = "staying"
    NAMED = "named"
    ARCHIVE = "archive"
    QUARANTINE = "quarantine"
    GONE = "gone"
    REMOVED = "removed"
    DELETED = "deleted"


class ImageFile(NamedTuple):
    """The file of an image. `path` is its present path, `size` is in bytes, `width` and `height` in pixels.

    `identity` is the one that it was found with. `sha256` and `format` are None if the file was not read, and
    `width` and `height` too if it has no picture. `intake` is the folder that was scanned, None if the file
    came in another way or an older release scanned it. `kind` is the kind of its run, one of RunKind.
    """

    path: str
    size: int
    identity: str
    place: FilePlace
    sha256: str | None
    format: str | None
    width: int | None
    height: int | None
    intake: str | None
    kind: str
    #: The name that the file came with, without folders; safe to show.
    name: str
    #: The folder that it came from, an absolute path.
    folder: str


class Filter(NamedTuple):
    """A filter for images; None in a field means all. `least` and `most` are probabilities, 0 to 1.

    `label` is the final label, `predicted` the label of the model. `unfamiliar`: whether the photo was unlike
    anything that the model was trained on.
    """

    run_id: int | None = None
    state: "ImageState | None" = None
    label: str | None = None
    predicted: str | None = None
    decision: str | None = None
    code: str | None = None
    least: float | None = None
    most: float | None = None
    unfamiliar: bool | None = None


class Received(NamedTuple):
    """An uploaded image and its result; fields without a value are None.

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
    familiarity: float | None

    @property
    def failed_here(self) -> bool:
        """Whether there is no prediction because of this system, not because of the file that was sent."""
        return self.state == ImageState.FAILED or self.code in {FaultCode.VANISHED, FaultCode.CHANGED}
