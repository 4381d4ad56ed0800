"""Draws a photo small, as WebP, so that browsers can show photos of every format.

Only `drawing_process` calls it: the web decodes nothing.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.records.models import ImageInput
from returns_pipeline.web.render.damaged import readable_part
from returns_pipeline.web.render.orders import Heat, Order

#: The colour of what the model looked at: rare on clothes, and visible to the colour-blind.
_COLOUR = np.array([255, 96, 0], np.float32)
#: The share of the photo that the colour covers where the map is highest.
_COVER = 0.65


def draw(order: Order, heat: Heat | None, photo: bytes) -> bytes:
    """Return a WebP of a photo, with its heat map if there is one.

    Raises ImageFault if the photo cannot be decoded, MemoryError if that takes too much memory.
    """
    pixels = _pixels(order, photo)
    return _webp(pixels if heat is None else _under(heat, pixels))


def _pixels(order: Order, photo: bytes) -> NDArray[np.uint8]:
    """Return uint8 [h, w, 3], the longer side `order.size`."""
    if order.is_damaged:
        return readable_part(photo, order.size, order.max_pixels)
    limits = Limits(order.max_bytes, order.max_pixels)
    width, height = order.width, order.height
    if width is None or height is None:
        facts = decode(photo, ImageInput(1, 1, 3), limits).facts
        width, height = facts.width, facts.height
    scale = order.size / max(width, height)
    want = ImageInput(max(1, round(height * scale)), max(1, round(width * scale)), 3)
    return decode(photo, want, limits).pixels


def _under(heat: Heat, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the pixels with the heat map over them."""
    height, width = pixels.shape[:2]
    values = np.frombuffer(heat.values, np.uint8).reshape(heat.height, heat.width)
    smooth = Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)
    share = np.asarray(smooth, np.float32)[..., np.newaxis] * (_COVER / 255)
    return (pixels * (1 - share) + _COLOUR * share).astype(np.uint8)


def _webp(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", quality=80, method=0)
    return stream.getvalue()
