"""Estimates the memory that decoding a file takes, from its header, and bounds it.

The bytes for each pixel are measured maxima of the decoders that Pillow calls, rounded up. They hold the
decoder's own planes, its output, and Pillow's picture. What follows takes strips, not copies.
"""

from typing import Any

from PIL import Image

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.jpeg_markers import read_jpeg_frame
from returns_pipeline.photos.decoding.tiff_tags import (
    BITS_PER_SAMPLE,
    COMPRESSION,
    ROWS_PER_STRIP,
    SAMPLES,
    TILE_HEIGHT,
    TILE_WIDTH,
    number_of,
    tags_of,
)
from returns_pipeline.records.models import ImageInput

#: Bytes of memory for each pixel of RETURNS_MAX_PIXELS, and what is always allowed.
BYTES_PER_PIXEL, LEAST_BYTES = 8, 64 << 20
#: The longest side of a picture. Formats that allow more have no photo of that shape.
LONGEST_SIDE = 65_535
#: Bytes for a pixel in Pillow, and for a coefficient in libjpeg.
_PIXEL, _COEFFICIENT = 4, 2
_WEBP_PIXEL, _AVIF_PIXEL, _HEIF_PIXEL, _DEEP_HEIF_PIXEL = 18, 16, 10, 14
#: Bytes for each sample of a tile in OpenJPEG, which works with 32 bits.
_JPEG2000_SAMPLE = 6


def require_little_memory(needed: int, limits: Limits) -> None:
    """Raise ImageFault too_many_pixels if decoding takes more memory than allowed."""
    if needed > most_memory(limits):
        raise ImageFault(
            FaultCode.TOO_MANY_PIXELS,
            "Decoding the image takes {needed:,} bytes of memory; at most {most:,} are used.",
            needed=needed,
            most=most_memory(limits),
        )


def most_memory(limits: Limits) -> int:
    """Return the bytes that decoding one photo may take."""
    return max(BYTES_PER_PIXEL * limits.max_pixels, LEAST_BYTES)


def require_short_sides(image: Image.Image) -> None:
    """Raise ImageFault too_many_pixels if a picture is longer than any photo.

    Tables of a decoder and of the scaling grow with the sides, not with the area.
    """
    if max(image.size) > LONGEST_SIDE:
        raise ImageFault(
            FaultCode.TOO_MANY_PIXELS,
            "The image has {width:,} x {height:,} pixels; a side may have {longest:,}.",
            width=image.width,
            height=image.height,
            longest=LONGEST_SIDE,
        )


def webp_memory(pixels: int) -> int:
    """Return the bytes that libwebp and Pillow take for a WebP of that many pixels."""
    return _WEBP_PIXEL * pixels


def memory_to_decode(image: Image.Image, data: bytes, name: str, size: tuple[int, int]) -> int:
    """Return the bytes that `image.load` takes; `size` is the picture's size in the file."""
    area, held = size[0] * size[1], _PIXEL * image.width * image.height
    if name == "JPEG":
        frame = read_jpeg_frame(data)
        components = data[frame.sof + 9] if frame.sof else len(image.getbands())
        return held + (_COEFFICIENT * components * area if frame.has_several_scans else 0)
    if name == "AVIF":
        return _AVIF_PIXEL * area
    if name == "HEIF":
        is_deep = image.info.get("bit_depth", 8) > 8 and image.info.get("chroma") != 420
        return (_DEEP_HEIF_PIXEL if is_deep else _HEIF_PIXEL) * area
    if name == "TIFF":
        return held + _tiff_buffer(tags_of(image), size)
    return held


def jpeg2000_memory(data: bytes, size: tuple[int, int], reduction: int) -> int:
    """Return the bytes that OpenJPEG and Pillow take, if it leaves out `reduction` levels of detail."""
    at = _siz(data)
    area = size[0] * size[1]
    components = int.from_bytes(data[at + 38 : at + 40]) or 4
    tile = int.from_bytes(data[at + 22 : at + 26]) * int.from_bytes(data[at + 26 : at + 30])
    return (_PIXEL * area + _JPEG2000_SAMPLE * components * min(tile or area, area)) >> (2 * reduction)


def jpeg2000_reduction(data: bytes, size: tuple[int, int], want: ImageInput, limits: Limits) -> int:
    """Return how many levels of detail of a JPEG 2000 must be left out, to stay within the memory.

    What is left has at least 1.5 times the wanted size.
    """
    at = data.find(b"\xff\x52", _siz(data))
    levels = data[at + 9] if 0 <= at < len(data) - 9 else 0
    reduction = 0
    while reduction < min(levels, 5) and jpeg2000_memory(data, size, reduction) > most_memory(limits):
        if any(
            side >> (reduction + 1) < 3 * wanted // 2
            for side, wanted in zip(size, (want.width, want.height), strict=True)
        ):
            break
        reduction += 1
    return reduction


def has_jpeg2000_end(data: bytes) -> bool:
    """Whether a JPEG 2000's codestream ends with its marker EOC, which no coded data can hold."""
    return b"\xff\xd9" in data[_siz(data) :]


def _siz(data: bytes) -> int:
    """Return the offset of the marker SIZ, which begins a JPEG 2000's codestream (ITU-T T.800, A.5.1)."""
    return data.find(b"\xff\x4f\xff\x51") + 2


def _tiff_buffer(tags: Any, size: tuple[int, int]) -> int:
    """Return the bytes of one strip or tile, which libtiff decompresses whole."""
    if number_of(tags.get(COMPRESSION, 1)) == 1:
        return 0
    bits = (number_of(tags.get(BITS_PER_SAMPLE)) or 1) * (number_of(tags.get(SAMPLES)) or 1)
    tile = number_of(tags.get(TILE_WIDTH)) * number_of(tags.get(TILE_HEIGHT))
    strip = size[0] * min(number_of(tags.get(ROWS_PER_STRIP)) or size[1], size[1])
    # JPEG's colours become four bytes for each pixel.
    return (tile or strip) * max(bits // 8, _PIXEL)
