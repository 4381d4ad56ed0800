"""From a file's bytes to pixels: the right picture, or the right reason."""

import io
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.photos.decoding.formats import FORMATS
from returns_pipeline.photos.decoding.plain_png import decode_plain_png
from returns_pipeline.records.models import ImageInput

GREY = ImageInput(8, 8, 1)
COLOUR = ImageInput(16, 16, 3)
LIMITS = Limits(max_bytes=1_000_000, max_pixels=1_000_000)


def _encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def _quarters() -> Image.Image:
    """Return a picture whose four quarters differ, so that any turn or flip shows."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32, :32] = 250, 0, 0
    pixels[:32, 32:] = 0, 250, 0
    pixels[32:, :32] = 0, 0, 250
    pixels[32:, 32:] = 250, 250, 250
    return Image.fromarray(pixels)


def _code(data: bytes, want: ImageInput = GREY, limits: Limits = LIMITS) -> FaultCode:
    with pytest.raises(ImageFault) as caught:
        decode(data, want, limits)
    assert caught.value.detail
    return caught.value.code


@pytest.mark.parametrize("file_format", FORMATS)
def test_every_accepted_format_gives_the_picture(file_format: str) -> None:
    """Each format that is accepted decodes to nearly the same pixels, and says what it is."""
    decoded = decode(_encoded(_quarters(), file_format), COLOUR, LIMITS)
    assert decoded.pixels.shape == (16, 16, 3)
    assert decoded.pixels.dtype == np.uint8
    assert (decoded.facts.format, decoded.facts.width, decoded.facts.height) == (file_format, 64, 64)
    for (row, column), colour in {(3, 3): (250, 0, 0), (3, 12): (0, 250, 0), (12, 3): (0, 0, 250)}.items():
        assert np.abs(decoded.pixels[row, column].astype(int) - colour).max() < 30


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int) -> None:
    """However the camera was held, the pixels are those of the upright picture."""
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = _quarters().resize((64, 32))
    stored = upright.transpose(turns[orientation]) if orientation in turns else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(_encoded(stored, "JPEG", quality=95, exif=exif), COLOUR, LIMITS)
    expected = decode(_encoded(upright, "JPEG", quality=95), COLOUR, LIMITS)
    assert np.abs(decoded.pixels.astype(int) - expected.pixels).mean() < 6
    assert (decoded.facts.width, decoded.facts.height) == (64, 32)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGBA", (8, 8), (0, 0, 0, 0)), 255),
        (Image.new("LA", (8, 8), (0, 0)), 255),
        (Image.new("RGBA", (8, 8), (100, 100, 100, 255)), 100),
        (Image.new("1", (8, 8), 1), 255),
        (Image.new("L", (8, 8), 77), 77),
        (Image.fromarray(np.full((8, 8), 100 * 256, np.uint16)), 100),
    ],
    ids=["clear", "clear grey", "opaque", "one bit", "grey", "sixteen bits"],
)
def test_every_mode_has_the_right_brightness(image: Image.Image, expected: int) -> None:
    """Transparency becomes white and 16 bits become 8; no mode is clipped or inverted."""
    assert decode(_encoded(image, "PNG"), GREY, LIMITS).pixels.mean() == pytest.approx(expected, abs=1)


def test_a_palette_with_a_clear_colour_is_white_there() -> None:
    """A GIF's transparent colour is composited on white, not shown as what lies under it."""
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    assert decode(_encoded(image, "GIF", transparency=0), GREY, LIMITS).pixels.min() == 255


def test_cmyk_is_not_inverted() -> None:
    """A print photo's white paper stays white."""
    image = Image.new("CMYK", (64, 64), (0, 0, 0, 0))
    assert decode(_encoded(image, "JPEG"), GREY, LIMITS).pixels.min() > 250


def test_an_animation_gives_its_first_frame() -> None:
    """The first frame of an animation is the picture."""
    frames = [Image.new("L", (8, 8), value) for value in (200, 10, 10)]
    data = _encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data, GREY, LIMITS).pixels.mean() == pytest.approx(200, abs=2)


def test_the_pixel_limit_counts_what_is_decoded() -> None:
    """A large JPEG is scaled down while it is decoded and is fine; a PNG of the same size is refused."""
    large = Image.new("L", (2000, 2000), 128)
    limits = Limits(max_bytes=10_000_000, max_pixels=500_000)
    decoded = decode(_encoded(large, "JPEG"), GREY, limits)
    assert (decoded.facts.width, decoded.pixels.mean()) == (2000, pytest.approx(128, abs=2))
    assert _code(_encoded(large, "PNG"), limits=limits) == FaultCode.TOO_MANY_PIXELS


def test_what_is_no_image_is_told_from_what_is_broken() -> None:
    """Each kind of bad content has its own code, whatever the file is called."""
    png = _encoded(_quarters(), "PNG")
    assert _code(b"just words") == FaultCode.NOT_AN_IMAGE
    assert _code(b"%PDF-1.7 a document") == FaultCode.NOT_AN_IMAGE
    assert _code(b"<html><body>a page</body></html>") == FaultCode.NOT_AN_IMAGE
    assert _code(b'<svg xmlns="http://www.w3.org/2000/svg"/>') == FaultCode.UNSUPPORTED_FORMAT
    assert _code(_encoded(_quarters(), "ICO")) == FaultCode.UNSUPPORTED_FORMAT
    assert _code(png[: len(png) // 2]) == FaultCode.TRUNCATED
    assert _code(png[:20]) == FaultCode.TRUNCATED
    assert _code(_encoded(_quarters(), "JPEG")[:-300]) == FaultCode.TRUNCATED


def _general(data: bytes) -> bytes:
    """Return the same PNG with a part more, which sends it the general way."""
    comment = b"tEXta\0b"
    part = (len(comment) - 4).to_bytes(4) + comment + zlib.crc32(comment).to_bytes(4)
    return data[:33] + part + data[33:]


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("size", [(8, 8), (1, 1), (31, 17), (60, 40)])
def test_a_plain_png_gives_the_same_pixels_the_short_way(mode: str, size: tuple[int, int]) -> None:
    """Whether a PNG has a part more than it needs makes no difference to its pixels."""
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    data = _encoded(Image.fromarray(noise).convert(mode), "PNG")
    assert decode_plain_png(data, LIMITS) is not None
    assert decode_plain_png(_general(data), LIMITS) is None
    for want in (GREY, COLOUR):
        short, general = decode(data, want, LIMITS), decode(_general(data), want, LIMITS)
        assert np.array_equal(short.pixels, general.pixels)
        assert short.facts[1:] == general.facts[1:]


def test_a_damaged_plain_png_gets_its_reason() -> None:
    """The short way refuses what is damaged, large or cut, so that the general one says why."""
    data = _encoded(Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)), "PNG")
    flipped = bytearray(data)
    flipped[45] ^= 0xFF
    other_size = bytearray(data)
    other_size[19] += 1
    for damaged in (bytes(flipped), bytes(other_size), data[:50], data[:40]):
        assert decode_plain_png(damaged, LIMITS) is None
        assert _code(damaged) == FaultCode.TRUNCATED
    assert _code(data, limits=Limits(1_000_000, 63)) == FaultCode.TOO_MANY_PIXELS
