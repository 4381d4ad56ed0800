"""A decoded picture to the pixels that a model takes: 8 bits, on white, in its colours and size."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from returns_pipeline.photos.decoding.tiff_tags import (
    BITS_PER_SAMPLE,
    PHOTOMETRIC,
    SAMPLE_FORMAT,
    number_of,
    tags_of,
)
from returns_pipeline.records.models import ImageInput


def to_model_pixels(image: Image.Image, want: ImageInput, data: bytes) -> NDArray[np.uint8]:
    """Return uint8 [want.height, want.width, want.channels] of a picture of any mode.

    `data` is the file that the picture was decoded from.
    """
    size = (want.width, want.height)
    if image.mode[0] in "IF":
        image = _to_eight_bits(image, size)
    if image.has_transparency_data:
        image = _on_white(image, size, data)
    if image.mode == "LAB":
        image = image.convert("RGB")  # Pillow converts LAB to no other mode
    return fit(image, want)


def fit(image: Image.Image, want: ImageInput) -> NDArray[np.uint8]:
    """Convert an opaque 8-bit picture to the model's colours and stretch it to its size.

    Returns uint8 [want.height, want.width, want.channels].
    """
    mode, size = "L" if want.channels == 1 else "RGB", (want.width, want.height)
    if image.mode != mode:
        image = image.convert(mode)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    return np.frombuffer(image.tobytes(), np.uint8).reshape(want.shape)


def _to_eight_bits(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Reduce 16-bit, 32-bit and float greys; Pillow's own conversion would clip them to white."""
    tags = tags_of(image)
    clear = image.info.get("transparency")
    if image.mode.startswith("I;16") and clear is None:
        # Resize first: floats of a whole picture take the most memory.
        image = image.resize(size, Image.Resampling.BILINEAR)
    values = np.asarray(image)
    is_unsigned = number_of(tags.get(SAMPLE_FORMAT, 1)) == 1
    if image.mode == "I" and number_of(tags.get(BITS_PER_SAMPLE)) == 32 and is_unsigned:
        values = values.view(np.uint32)
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    white = _white_level(image.mode, values, tags)
    if clear is None and values.shape != size[::-1]:
        exact = Image.fromarray(values.astype(np.float32))
        values = np.asarray(exact.resize(size, Image.Resampling.BILINEAR))
    grey = np.rint(np.clip(values.astype(np.float32) / white, 0, 1) * 255).astype(np.uint8)
    if number_of(tags.get(PHOTOMETRIC, 1)) == 0:
        grey = 255 - grey
    reduced = Image.fromarray(grey)
    if isinstance(clear, int):
        reduced.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return reduced


def _white_level(mode: str, values: NDArray[Any], tags: Any) -> float:
    """Return the value that means white: from the file, else the next usual maximum above the brightest."""
    bits, signed = number_of(tags.get(BITS_PER_SAMPLE)), number_of(tags.get(SAMPLE_FORMAT, 1)) == 2
    if mode.startswith("I;16"):
        return 4095.0 if bits == 12 else 65535.0
    if bits == 16 and signed:
        return 32767.0
    brightest = float(values.max())
    usual = (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0, 2.0**31 - 1, 2.0**32 - 1)
    return next((level for level in usual if brightest <= level), brightest)


def _on_white(image: Image.Image, size: tuple[int, int], data: bytes) -> Image.Image:
    """Composite transparency on white, as shops show cut-out products, at the model's size."""
    if image.format == "PNG":
        _match_clear_colour(image, data)
    layer = image.convert("RGBA").convert("RGBa")
    if layer.size != size:
        layer = layer.resize(size, Image.Resampling.BILINEAR)
    values = np.asarray(layer).astype(np.int16)
    return Image.fromarray(np.minimum(values[..., :3] + (255 - values[..., 3:]), 255).astype(np.uint8))


def _match_clear_colour(image: Image.Image, data: bytes) -> None:
    """Convert a PNG's transparent colour to the depth to which Pillow converted the pixels."""
    depth, clear = data[24], image.info.get("transparency")
    if image.mode == "L" and isinstance(clear, int) and depth < 8:
        image.info["transparency"] = clear * 255 // (2**depth - 1)
    elif image.mode == "RGB" and isinstance(clear, tuple) and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in clear)
