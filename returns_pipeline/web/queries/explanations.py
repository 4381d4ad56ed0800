"""An explanation as people see it: a map over the photo, and the earlier returns that are like it."""

import numpy as np
from PIL import Image

from returns_pipeline.records.explanations import Explanation
from returns_pipeline.records.images import Picture
from returns_pipeline.usecases.context import Context
from returns_pipeline.web.render import thumbnails

#: Where the model looked most: a colour that is told from photos of clothes, and by the colour-blind.
_COLOUR = np.array([255, 96, 0], np.float32)
#: How much of the photo that colour hides there.
_HIDDEN = 0.65


def overlay(picture: Picture, explanation: Explanation, size: int, context: Context) -> bytes | None:
    """Return a WebP of the photo under its map, `size` pixels on the longer side; None without the file."""
    photo = thumbnails.pixels_of(picture, size, context)
    if photo is None:
        return None
    height, width = photo.shape[:2]
    heat = np.frombuffer(explanation.heat, np.uint8).reshape(explanation.height, explanation.width)
    smooth = Image.fromarray(heat).resize((width, height), Image.Resampling.BICUBIC)
    share = np.asarray(smooth, np.float32)[..., np.newaxis] * (_HIDDEN / 255)
    return thumbnails.webp((photo * (1 - share) + _COLOUR * share).astype(np.uint8))
