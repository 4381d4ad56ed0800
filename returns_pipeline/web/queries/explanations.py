"""Explanations for people: the most similar earlier returns."""

from typing import NamedTuple

from returns_pipeline.records.explanations import Explanation
from returns_pipeline.records.images import ImageResult
from returns_pipeline.store import browsing
from returns_pipeline.store.database import Database


class SimilarReturn(NamedTuple):
    """An earlier return, and its `similarity` to another image: the cosine of their features, -1 to 1."""

    image: ImageResult
    similarity: float


def similar_images(db: Database, explanation: Explanation) -> list[SimilarReturn]:
    """Return the earlier returns that an explanation names, most similar first."""
    return [
        SimilarReturn(image, similarity)
        for image_id, similarity in explanation.similar
        if (image := browsing.find(db, image_id)) and image.has_photo
    ]
