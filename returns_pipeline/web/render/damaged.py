"""The readable part of a damaged photo, so that a person can see what it was.

Only `drawing_process` calls it. It changes a setting of Pillow for the whole process while it decodes.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.photos.decoding.bounds import Limits, require_few_pixels
from returns_pipeline.photos.decoding.formats import detect_format

#: Formats of which Pillow decodes a part. The others are decoded whole or not at all.
_IN_PARTS = frozenset({"JPEG", "PNG", "TIFF", "BMP", "GIF"})


def readable_part(photo: bytes, size: int, max_pixels: int) -> NDArray[np.uint8]:
    """Return uint8 [h, w, 3], the longer side `size`; what is missing is grey or black.

    Raises ImageFault if nothing can be read, MemoryError if that takes too much memory.
    """
    name = detect_format(photo)
    if name not in _IN_PARTS:
        raise ImageFault(FaultCode.TRUNCATED)
    try:
        with _tolerant(), Image.open(io.BytesIO(photo), formats=(name,)) as image:
            image.draft("RGB", (size, size))
            require_few_pixels(image.width * image.height, Limits(len(photo), max_pixels))
            image.load()
            upright = _upright(image.convert("RGB"), image)
    except (ImageFault, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise anything on a damaged file
        raise ImageFault(FaultCode.TRUNCATED) from error
    scale = size / max(upright.size)
    shape = max(1, round(upright.width * scale)), max(1, round(upright.height * scale))
    return np.asarray(upright.resize(shape, Image.Resampling.BILINEAR))


@contextmanager
def _tolerant() -> Iterator[None]:
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def _upright(pixels: Image.Image, image: Image.Image) -> Image.Image:
    """Turn `pixels` as the tags of `image` state. Damaged tags turn nothing."""
    try:
        pixels.info["exif"] = image.getexif().tobytes()
        return ImageOps.exif_transpose(pixels)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return pixels
