"""Predictions: a model's scores, and the prediction for an image."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from returns_pipeline.languages import N_
from returns_pipeline.records.stored_enum import StoredEnum

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from returns_pipeline.records.models import ModelRef


#: Why a prediction needs a person although it may be probable.
UNFAMILIAR_DETAIL = N_("This photo is unlike anything this model was trained on.")


class Decision(StoredEnum):
    """Whether a prediction is accepted automatically or needs a review."""

    AUTO = "auto"
    REVIEW = "review"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Scores:
    """A model's output for a batch: `probabilities` float32 [n, labels], each row sums to 1.

    `features` float32 [n, f], f <= 64, is the output of the last convolution, averaged over the image and
    projected; None for a network without a convolution.

    `familiarity` float64 [n], 0 to 1, is the share of validation photos that are stranger than each image;
    None if the bundle or the runtime does not tell.
    """

    probabilities: "NDArray[np.float32]"
    features: "NDArray[np.float32] | None" = None
    familiarity: "NDArray[np.float64] | None" = None


class GradCamMap(NamedTuple):
    """A Grad-CAM map: `heat` float32 [rows, columns], 0 to 1, over the whole image.

    `features` float32 [f] is the image's row of Scores.features.
    """

    heat: "NDArray[np.float32]"
    features: "NDArray[np.float32]"


class Embedded(NamedTuple):
    """Embeddings of a chunk's images: the bytes of `image_ids` int64 [n] and of `vectors` int8 [n, 64]."""

    image_ids: bytes
    vectors: bytes


class Prediction(NamedTuple):
    """A model's prediction for an image; `top` holds (label index, probability) pairs, best first.

    `familiarity`, 0 to 1, is the share of validation photos that are stranger; None for unknown. The image is
    `unfamiliar` if it is below RETURNS_FAMILIARITY: then the decision is REVIEW.
    """

    label_index: int
    label: str
    probability: float
    main_label: str
    main_probability: float
    top: tuple[tuple[int, float], ...]
    decision: Decision
    familiarity: float | None = None
    unfamiliar: bool = False


class StoredPrediction(NamedTuple):
    """The stored prediction of one version of a model for an image.

    `top` holds the (label index, probability) pairs, best first. `familiarity` is None for unknown.
    """

    model: "ModelRef"
    label: str
    probability: float
    main_label: str
    main_probability: float
    top: "Sequence[tuple[int, float]]"
    decision: str
    familiarity: float | None
