"""Explanations for people: a heat map over the photo, and the most similar earlier returns."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from returns_pipeline.records.explanations import Explanation
from returns_pipeline.records.images import ImageResult, Picture
from returns_pipeline.store import browsing
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.context import Context
from returns_pipeline.web.render import thumbnails

#: The colour of what the model looked at: rare on clothes, and visible to the colour-blind.
_COLOUR = np.array([255, 96, 0], np.float32)
#: The share of the photo that the colour covers where the map is highest.
_COVER = 0.65


class SimilarReturn(NamedTuple):
    """An earlier return, and its `similarity` to another image: the cosine of their features, -1 to 1."""

    image: ImageResult
    similarity: float


def similar_images(db: Database, explanation: Explanation) -> list[SimilarReturn]:
    """Return the earlier returns that an explanation names, most similar first."""
    return [
        SimilarReturn(image, similarity)
        for image_id, similarity in explanation.similar
        if (image := browsing.find(db, image_id))
    ]


def overlay(picture: Picture, explanation: Explanation, size: int, context: Context) -> bytes | None:
    """Return a WebP of the photo and its heat map, `size` pixels on the longer side; None without a file."""
    photo = thumbnails.pixels_of(picture, size, context)
    if photo is None:
        return None
    height, width = photo.shape[:2]
    heat = np.frombuffer(explanation.heat, np.uint8).reshape(explanation.height, explanation.width)
    smooth = Image.fromarray(heat).resize((width, height), Image.Resampling.BICUBIC)
    share = np.asarray(smooth, np.float32)[..., np.newaxis] * (_COVER / 255)
    return thumbnails.webp((photo * (1 - share) + _COLOUR * share).astype(np.uint8))
