"""A decoded picture to the pixels that a model takes: upright, on white, in sRGB, in the model's size."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from returns_pipeline.photos.decoding.colours import Conversion, conversion_of
from returns_pipeline.photos.decoding.deep_greys import is_deep, to_eight_bits
from returns_pipeline.photos.decoding.orientation import turn
from returns_pipeline.photos.decoding.scaling import scaled
from returns_pipeline.records.models import ImageInput

#: Pillow's modes of colours that an RGB profile describes, and of greys that a grey profile does.
_COLOURS = frozenset({"RGB", "RGBA", "RGBX", "RGBa", "P", "PA", "YCbCr"})
_GREYS = frozenset({"1", "L", "LA", "La", "I", "F"})


def to_model_pixels(
    image: Image.Image, want: ImageInput, data: bytes, orientation: int = 0, profile: bytes | None = None
) -> NDArray[np.uint8]:
    """Return uint8 [want.height, want.width, want.channels] of a picture of any mode.

    `data` is the file that the picture was decoded from, `orientation` its EXIF orientation, and `profile`
    the ICC profile of its colours. The picture is scaled first: turning it and converting its colours then
    costs little.
    """
    mode = _mode_of(want)
    size = (want.height, want.width) if orientation >= 5 else (want.width, want.height)
    conversion = _conversion(image, profile)
    if conversion:
        mode = conversion.mode
    if is_deep(image):
        image = to_eight_bits(image, size)
        if image.mode == "RGBa":
            image = _on_white(image)
    elif image.has_transparency_data:
        if image.format == "PNG":
            _match_clear_colour(image, data)
        image = _on_white(scaled(image, size, lambda strip: strip.convert("RGBA").convert("RGBa")))
    image = scaled(image, size, lambda strip: _in_mode(strip, mode))
    if conversion:
        image = conversion.apply(image)
    return _array(turn(image, orientation), want)


def fit(image: Image.Image, want: ImageInput) -> NDArray[np.uint8]:
    """Convert an opaque 8-bit picture to the model's colours and stretch it to its size.

    Returns uint8 [want.height, want.width, want.channels].
    """
    mode = _mode_of(want)
    return _array(scaled(image, (want.width, want.height), lambda strip: _in_mode(strip, mode)), want)


def _mode_of(want: ImageInput) -> str:
    return "L" if want.channels == 1 else "RGB"


def _array(image: Image.Image, want: ImageInput) -> NDArray[np.uint8]:
    return np.frombuffer(_in_mode(image, _mode_of(want)).tobytes(), np.uint8).reshape(want.shape)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == "LAB":
        image = image.convert("RGB")  # Pillow converts LAB to no other mode
    return image if image.mode == mode else image.convert(mode)


def _conversion(image: Image.Image, profile: bytes | None) -> Conversion | None:
    """Return how a picture's colours become sRGB; None if they are, or if the profile is for other modes."""
    conversion = conversion_of(profile) if profile else None
    if conversion is None:
        return None
    if conversion.mode == "CMYK":
        return conversion if image.mode == "CMYK" else None
    greys = image.mode in _GREYS or image.mode.startswith("I;16")
    return conversion if (greys if conversion.mode == "L" else image.mode in _COLOURS) else None


def _on_white(layer: Image.Image) -> Image.Image:
    """Composite a picture of mode RGBa on white, as shops show cut-out products."""
    values = np.asarray(layer).astype(np.int16)
    return Image.fromarray(np.minimum(values[..., :3] + (255 - values[..., 3:]), 255).astype(np.uint8))


def _match_clear_colour(image: Image.Image, data: bytes) -> None:
    """Convert a PNG's transparent colour to the depth to which Pillow converted the pixels."""
    depth, clear = data[24], image.info.get("transparency")
    if image.mode == "L" and isinstance(clear, int) and depth < 8:
        image.info["transparency"] = clear * 255 // (2**depth - 1)
    elif image.mode == "RGB" and isinstance(clear, tuple) and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in clear)
