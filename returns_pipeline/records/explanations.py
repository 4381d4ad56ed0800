"""Explanations of predictions."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from returns_pipeline.records.models import ModelRef


class ToExplain(NamedTuple):
    """An image to explain: its chunk, the model, and the predicted label."""

    chunk_id: int
    model: "ModelRef"
    model_sha256: str
    model_version_id: int
    label_index: int


class Explanation(NamedTuple):
    """The heat map of a prediction: `heat` uint8, `height` rows of `width`, over the whole image.

    `similar` holds (image id, cosine) pairs of earlier returns, most similar first. `fault` is the reason of
    a failed explanation, whose other fields are empty.
    """

    fault: str | None
    height: int
    width: int
    heat: bytes
    similar: "Sequence[tuple[int, float]]"
