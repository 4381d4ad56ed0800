"""Small pictures of photos, made when they are asked for. Whatever a browser cannot show becomes WebP."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from returns_pipeline.errors import ImageFault, TransientFault
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.records.images import Picture
from returns_pipeline.records.models import ImageInput
from returns_pipeline.usecases.context import Context


def of(picture: Picture, size: int, context: Context) -> bytes | None:
    """Return a WebP of `size` pixels on its longer side; None where the file is gone or no picture."""
    pixels = pixels_of(picture, size, context)
    return None if pixels is None else webp(pixels)


def pixels_of(picture: Picture, size: int, context: Context) -> NDArray[np.uint8] | None:
    """Return uint8 [h, w, 3], the longer side `size`; None where the file is gone or no picture."""
    limits = Limits.of(context.settings)
    try:
        data = context.photos.read_classified(picture, limits.max_bytes)
        width, height = picture.width, picture.height
        if width is None or height is None:
            facts = decode(data, ImageInput(1, 1, 3), limits).facts
            width, height = facts.width, facts.height
        scale = size / max(width, height)
        want = ImageInput(max(1, round(height * scale)), max(1, round(width * scale)), 3)
        return decode(data, want, limits).pixels
    except (TransientFault, ImageFault):
        return None


def webp(pixels: NDArray[np.uint8]) -> bytes:
    """Return a picture of uint8 [h, w, 3]."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", quality=80, method=0)
    return stream.getvalue()
