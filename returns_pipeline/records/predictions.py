"""Predictions: pixels, scores and what is made of them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from returns_pipeline.records.models import ModelRef


class Decision(StrEnum):
    """Whether the prediction stands by itself or a person should look."""

    AUTO = "auto"
    REVIEW = "review"


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


class StoredPrediction(NamedTuple):
    """The stored prediction of one version of a model for an image.

    `top` holds the (label index, probability) pairs, best first.
    """

    model: "ModelRef"
    label: str
    probability: float
    main_label: str
    main_probability: float
    top: "Sequence[tuple[int, float]]"
    decision: str
