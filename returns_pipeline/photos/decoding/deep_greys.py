"""Reduces greys of 16 or 32 bits, and of floats, to 8 bits, which Pillow would clip to white."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from returns_pipeline.photos.decoding.scaling import scaled, strips_of
from returns_pipeline.photos.decoding.tiff_tags import (
    BITS_PER_SAMPLE,
    PHOTOMETRIC,
    SAMPLE_FORMAT,
    number_of,
    tags_of,
)


def is_deep(image: Image.Image) -> bool:
    """Whether a picture has one channel of more than 8 bits."""
    return image.mode[0] in "IF"


def to_eight_bits(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a deep grey picture with 8 bits, stretched to `size` (width, height).

    Its mode is L, or RGBa with premultiplied transparency if the picture has a clear grey.
    """
    scale = _Scale.of(image)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        return scaled(image, size, lambda strip: scale.with_clear(strip, clear))
    if image.mode.startswith("I;16"):
        # Pillow scales these without a conversion.
        return scale.grey(scale.values(image.resize(size, Image.Resampling.BILINEAR)))
    return scale.grey(np.asarray(scaled(image, size, lambda strip: Image.fromarray(scale.floats(strip)))))


class _Scale(NamedTuple):
    """How the values of a picture become 0 to 255: `white` becomes 255, or 0 if the picture is inverted."""

    white: float
    is_inverted: bool
    is_unsigned: bool

    @classmethod
    def of(cls, image: Image.Image) -> "_Scale":
        """Read the scale from the tags of a TIFF, or else from the brightest value."""
        tags = tags_of(image)
        bits, sample_format = number_of(tags.get(BITS_PER_SAMPLE)), number_of(tags.get(SAMPLE_FORMAT, 1))
        scale = cls(0, number_of(tags.get(PHOTOMETRIC, 1)) == 0, bits == 32 and sample_format == 1)
        if image.mode.startswith("I;16"):
            return scale._replace(white=4095.0 if bits == 12 else 65535.0)
        if bits == 16 and sample_format == 2:
            return scale._replace(white=32767.0)
        brightest = max(float(scale.values(strip).max()) for _, strip in strips_of(image))
        usual = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0, 2.0**31 - 1, 2.0**32 - 1)
        # The usual maximum above the brightest value.
        return scale._replace(white=next((level for level in usual if brightest <= level), brightest))

    def values(self, strip: Image.Image) -> NDArray[Any]:
        """Return the values of a strip as numbers."""
        values = np.asarray(strip)
        if strip.mode == "I" and self.is_unsigned:
            return values.view(np.uint32)
        return np.nan_to_num(values, posinf=0.0, neginf=0.0) if values.dtype.kind == "f" else values

    def floats(self, strip: Image.Image) -> NDArray[np.float32]:
        """Return the values of a strip as float32."""
        return self.values(strip).astype(np.float32)

    def grey(self, values: NDArray[Any]) -> Image.Image:
        """Return values as a picture of mode L."""
        grey = np.rint(np.clip(values.astype(np.float32) / self.white, 0, 1) * 255).astype(np.uint8)
        return Image.fromarray(255 - grey if self.is_inverted else grey)

    def with_clear(self, strip: Image.Image, clear: int) -> Image.Image:
        """Return a strip as RGBa; pixels of the value `clear` are transparent."""
        values = self.values(strip)
        grey = self.grey(values)
        grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
        return grey.convert("RGBA").convert("RGBa")
