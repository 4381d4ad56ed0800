"""Explanations: what a model looked at in an image."""

from typing import TYPE_CHECKING, NamedTuple

from returns_pipeline.records.images import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from returns_pipeline.records.models import ModelRef


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
