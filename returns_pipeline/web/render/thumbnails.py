"""Small pictures of photos, made for each request. All are WebP: browsers cannot show every photo format."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from returns_pipeline.errors import ImageFault, TransientFault
from returns_pipeline.photos import decoding, imaging
from returns_pipeline.records.images import Picture
from returns_pipeline.records.models import ImageInput
from returns_pipeline.settings import Settings


def of(picture: Picture, size: int, settings: Settings) -> bytes | None:
    """Return a WebP of `size` pixels on its longer side; None if the file is gone or cannot be decoded."""
    pixels = pixels_of(picture, size, settings)
    return None if pixels is None else webp(pixels)


def pixels_of(picture: Picture, size: int, settings: Settings) -> NDArray[np.uint8] | None:
    """Return uint8 [h, w, 3], the longer side `size`; None if the file is gone or cannot be decoded."""
    limits = imaging.Limits(settings.max_file_bytes, settings.max_pixels)
    try:
        data = decoding.read_again(picture, limits)
        width, height = picture.width, picture.height
        if width is None or height is None:
            facts = imaging.decode(data, ImageInput(1, 1, 3), limits).facts
            width, height = facts.width, facts.height
        scale = size / max(width, height)
        want = ImageInput(max(1, round(height * scale)), max(1, round(width * scale)), 3)
        return imaging.decode(data, want, limits).pixels
    except (TransientFault, ImageFault):
        return None


def webp(pixels: NDArray[np.uint8]) -> bytes:
    """Return uint8 [h, w, 3] as a WebP file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", quality=80, method=0)
    return stream.getvalue()
