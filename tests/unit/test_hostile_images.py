"""Unusual, damaged and hostile files: the right picture or the right fault, and never a crash."""

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.records.models import ImageInput
from tests.faults.mutate import hunt, seed_images

GREY = ImageInput(4, 4, 1)
COLOUR = ImageInput(4, 4, 3)
LIMITS = Limits(max_bytes=1_000_000, max_pixels=1_000_000)
RED, GREEN, BLUE, PALE = (250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 250)


def _encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def _quarters(width: int = 64, height: int = 64) -> Image.Image:
    pixels = np.array([[RED, GREEN], [BLUE, PALE]], np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)


def _corners(data: bytes, limits: Limits = LIMITS) -> list[list[int]]:
    pixels = decode(data, COLOUR, limits).pixels
    return [pixels[row, column].tolist() for row in (0, 3) for column in (0, 3)]


def _halves(data: bytes) -> tuple[int, int]:
    """Return the brightness at the left and at the right edge."""
    pixels = decode(data, GREY, LIMITS).pixels
    return int(pixels[2, 0, 0]), int(pixels[2, 3, 0])


def _code(data: bytes, limits: Limits = LIMITS) -> FaultCode:
    with pytest.raises(ImageFault) as caught:
        decode(data, GREY, limits)
    assert caught.value.detail.isprintable()
    return caught.value.code


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _png(depth: int, kind: int, row: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    """Return a PNG of 8 x 8 pixels with equal rows."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, depth, kind, 0, 0, 0))
    body = _chunk(b"IDAT", zlib.compress((b"\0" + row) * 8))
    return b"\x89PNG\r\n\x1a\n" + header + before + body + after + _chunk(b"IEND", b"")


def _tiff(values: "np.ndarray[Any, Any]", photometric: int, sample_format: int = 1, **more: int) -> bytes:
    """Return an uncompressed TIFF; `more`: tags of type LONG by number, like t322."""
    height, width = values.shape[:2]
    samples = values.shape[2] if values.ndim == 3 else 1
    data = values.tobytes()
    tags: dict[int, int] = {256: width, 257: height, 258: values.dtype.itemsize * 8, 259: 1}
    tags |= {262: photometric, 273: 8, 277: samples, 278: height, 279: len(data), 339: sample_format}
    tags |= {int(tag[1:]): value for tag, value in more.items()}
    if samples > 1:
        tags[258] = 8 + len(data) + 2 + 12 * len(tags) + 4
    entries = b""
    for tag, value in sorted(tags.items()):
        kind, count = (3, samples) if tag == 258 and samples > 1 else (4, 1)
        entries += struct.pack("<HHII", tag, kind, count, value)
    bits = struct.pack("<H", values.dtype.itemsize * 8) * samples if samples > 1 else b""
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    return head + data + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0" + bits


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(64, 32), (32, 64)], ids=["landscape", "portrait"])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_orientation_is_applied_once(file_format: str, size: tuple[int, int], orientation: int) -> None:
    """Orientation is applied exactly once, whether stored as EXIF, as a tag or as irot and imir."""
    stored = _quarters(*size)
    if orientation in _TURNS:
        stored = stored.transpose(Image.Transpose(_TURNS[orientation]))
    exif = _exif(orientation)
    if file_format == "HEIF":
        stored.info["exif"] = exif.tobytes()  # the encoder writes it as irot and imir
        data = _encoded(stored, file_format)
    else:
        data = _encoded(stored, file_format, exif=exif)
    assert np.abs(np.array(_corners(data)) - [RED, GREEN, BLUE, PALE]).max() < 12
    facts = decode(data, COLOUR, LIMITS).facts
    assert (facts.width, facts.height) == size


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (_png(1, 0, b"\x0f", _chunk(b"tRNS", b"\0\0")), (255, 255)),
        (_png(2, 0, b"\x55\xaa", _chunk(b"tRNS", b"\0\1")), (255, 170)),
        (_png(4, 0, b"\x55\x55\xaa\xaa", _chunk(b"tRNS", b"\0\5")), (255, 170)),
        (_png(8, 0, b"\x05" * 4 + b"\xaa" * 4, _chunk(b"tRNS", b"\0\5")), (255, 170)),
        (_png(16, 0, b"\x05\x06" * 4 + b"\xaa\xaa" * 4, _chunk(b"tRNS", b"\5\6")), (255, 170)),
        (_png(16, 2, b"\x05\x06" * 12 + b"\xaa\xaa" * 12, _chunk(b"tRNS", b"\5\6" * 3)), (255, 170)),
        (_png(16, 4, b"\x05\x06\0\0" * 4 + b"\xaa\xaa\xff\xff" * 4), (255, 170)),
        (_png(2, 0, b"\x00\xff"), (0, 255)),
        (_png(16, 2, b"\x00\x00" * 12 + b"\xaa\xaa" * 12), (0, 170)),
    ],
    ids=["g1", "g2", "g4", "g8", "g16", "rgb16", "la16", "two bits", "rgb16 opaque"],
)
def test_every_depth_of_png_has_the_right_transparency_and_brightness(
    data: bytes, expected: tuple[int, int]
) -> None:
    """A transparent colour is recognised at every bit depth; 2 to 16 bits become 8."""
    assert _halves(data) == pytest.approx(expected, abs=1)


def _half(value: float, dtype: str) -> "np.ndarray[Any, Any]":
    values = np.zeros((8, 8), dtype)
    values[:, 4:] = value
    return values


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (_tiff(_half(0xAAAA, "<u2"), 1), (0, 170)),
        (_tiff(_half(0xAAAA, "<u2"), 0), (255, 85)),
        (_tiff(_half(0x5555, "<i2"), 1, 2), (0, 170)),
        (_tiff(_half(0xAAAAAAAA, "<u4"), 1), (0, 170)),
        (_tiff(_half(170, "<i4"), 1, 2), (0, 170)),
        (_tiff(_half(2**30, "<i4"), 1, 2), (0, 128)),
        (_tiff(_half(2 / 3, "<f4"), 1, 3), (0, 170)),
        (_tiff(_half(170, "<f4"), 1, 3), (0, 170)),
        (_tiff(_half(np.nan, "<f4"), 1, 3), (0, 0)),
        (_tiff(_half(170, "u1"), 0), (255, 85)),
        (_tiff(np.full((8, 8, 3), (200, 0, 0), np.uint8), 8), (194, 194)),
        (_tiff(np.full((8, 8, 3), (200, 128, 128), np.uint8), 6), (200, 200)),
        (_tiff(np.full((8, 8, 4), (0, 0, 0, 85), np.uint8), 5), (170, 170)),
    ],
    ids=["u16", "u16-", "s16", "u32", "s32", "S32", "f1", "f255", "nan", "u8-", "lab", "ycbcr", "cmyk"],
)
def test_every_kind_of_tiff_has_the_right_brightness(data: bytes, expected: tuple[int, int]) -> None:
    """16-bit, 32-bit, signed, float, inverted and Lab TIFFs decode to what a viewer shows."""
    assert _halves(data) == pytest.approx(expected, abs=1)


def test_a_gif_frame_smaller_than_its_canvas_is_placed_on_white() -> None:
    """The canvas that a GIF's first frame does not cover is white, not the palette's first colour."""
    image = Image.new("P", (8, 8), 1)
    image.putpalette([*RED, *GREEN])
    data = bytearray(_encoded(image, "GIF"))
    data[6:10] = struct.pack("<HH", 16, 8)
    assert _corners(bytes(data)) == [[*GREEN], [255] * 3, [*GREEN], [255] * 3]


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF"])
def test_the_first_of_several_frames_is_decoded(file_format: str) -> None:
    """Animations, bursts and multi-page files decode to their first frame."""
    rest = [Image.new("RGB", (64, 64), "black")] * 2
    data = _encoded(_quarters(), file_format, save_all=True, append_images=rest)
    assert np.abs(np.array(_corners(data)) - [RED, GREEN, BLUE, PALE]).max() < 12


def test_a_multi_picture_jpeg_is_a_jpeg() -> None:
    """A phone's multi-picture JPEG (MPO) decodes to its first JPEG, which is scaled while decoding."""
    large = Image.new("RGB", (2000, 2000), GREEN)
    data = _encoded(large, "MPO", save_all=True, append_images=[_quarters()])
    decoded = decode(data, COLOUR, Limits(1_000_000, 500_000))
    assert decoded.facts.format == "JPEG"
    assert decoded.pixels[0, 0].tolist() == pytest.approx(GREEN, abs=3)


def test_a_progressive_jpeg_counts_whole_and_by_its_scans() -> None:
    """A progressive JPEG counts with all its pixels, as the decoder holds them; many scans count as more."""
    image = Image.new("L", (2000, 2000), 128)
    limits = Limits(10_000_000, 500_000)
    assert decode(_encoded(image, "JPEG"), GREY, limits).facts.width == 2000
    assert _code(_encoded(image, "JPEG", progressive=True), limits) == FaultCode.TOO_MANY_PIXELS
    small = _encoded(Image.new("L", (200, 200), 128), "JPEG", progressive=True)
    last = small.rindex(b"\xff\xda")
    many_scans = small[:-2] + small[last:-2] * 500 + small[-2:]
    assert decode(small, GREY, limits).pixels.mean() == pytest.approx(128, abs=1)
    assert _code(many_scans, limits) == FaultCode.TOO_MANY_PIXELS


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
@pytest.mark.parametrize("place", ["before", "after"])
def test_compressed_text_does_not_prevent_decoding(name: bytes, place: str) -> None:
    """A text chunk of 30 MB is not decompressed, and the picture is decoded."""
    packed = b"k\0\1\0\0\0" if name == b"iTXt" else b"k\0\0"
    bomb = _chunk(name, packed + zlib.compress(bytes(30_000_000)))
    data = _png(8, 0, b"\x64" * 8, **{place: bomb})
    assert _halves(data) == (100, 100)


def _webp(width: int, height: int) -> bytes:
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sizes + b"VP8 " + bytes(30)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new)


_SIDE, _HUGE = struct.pack(">I", 64), struct.pack(">I", 20_000)


@pytest.mark.parametrize(
    "data",
    [
        _webp(16_000, 16_000),
        _patched(_encoded(_quarters(), "GIF"), struct.pack("<HH", 64, 64), b"\xff\xff\xff\xff"),
        _patched(
            _encoded(_quarters(), "BMP"), struct.pack("<II", 64, 64), struct.pack("<II", 30_000, 30_000)
        ),
        _patched(_encoded(_quarters(), "JPEG2000"), b"ihdr" + _SIDE * 2, b"ihdr" + _HUGE * 2),
        _patched(_encoded(_quarters(), "HEIF"), b"ispe\0\0\0\0" + _SIDE * 2, b"ispe\0\0\0\0" + _HUGE * 2),
        _tiff(np.zeros((8, 8), np.uint8), 1, t256=60_000, t257=60_000),
        _tiff(np.zeros((8, 8), np.uint8), 1, t259=8, t322=65_536, t323=65_536, t324=8, t325=64),
        _patched(_encoded(_quarters(), "JPEG"), b"\x08\x00\x40\x00\x40", b"\x08\xff\xdc\xff\xdc"),
    ],
    ids=["webp", "gif", "bmp", "jp2", "heic", "tiff", "tiff-tile", "jpeg"],
)
def test_a_bomb_is_refused_before_it_is_decoded(data: bytes) -> None:
    """A header with too many pixels is refused before decoding, in every format."""
    assert _code(data) == FaultCode.TOO_MANY_PIXELS


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", FaultCode.EMPTY_FILE),
        (b"BMW and other words that begin like a bitmap", FaultCode.NOT_AN_IMAGE),
        (b"<!DOCTYPE html><html><body><svg></svg></body></html>", FaultCode.NOT_AN_IMAGE),
        (b"RIFF\x24\0\0\0WAVEfmt ", FaultCode.NOT_AN_IMAGE),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", FaultCode.NOT_AN_IMAGE),
        (b"8BPS\0\1" + bytes(40), FaultCode.UNSUPPORTED_FORMAT),
        (b"<?xml version='1.0'?><!-- drawn --><svg xmlns='x'/>", FaultCode.UNSUPPORTED_FORMAT),
        (b"P6\n8 8\n255\n" + bytes(192), FaultCode.UNSUPPORTED_FORMAT),
        (b"\0\0\0\x18ftypcrx \0\0\0\0crx isom", FaultCode.UNSUPPORTED_FORMAT),
        (_tiff(_half(1, "<f8"), 1, 3), FaultCode.UNSUPPORTED_FORMAT),
        (_patched(_encoded(_quarters(), "JPEG"), b"\x08\x00\x40\x00\x40", b"\x0c\x00\x40\x00\x40"), "12 bit"),
        (_encoded(_quarters(), "JPEG")[:4], FaultCode.TRUNCATED),
        (_webp(8, 8), FaultCode.TRUNCATED),
        (_tiff(np.zeros((8, 8), np.uint8), 1, t256=0), FaultCode.TRUNCATED),
    ],
)
def test_each_fault_has_its_code(data: bytes, code: str) -> None:
    """No image, an image of another format and a broken image have different codes, by content alone."""
    assert _code(data) == (FaultCode.UNSUPPORTED_FORMAT if code == "12 bit" else code)


@pytest.mark.parametrize(
    ("number", "name"), [(number, name) for number, (name, _) in enumerate(seed_images())]
)
def test_a_third_of_a_file_is_truncated_and_appended_bytes_are_ignored(number: int, name: str) -> None:
    """A file cut within its first frame is truncated; bytes after a complete frame change nothing."""
    data = seed_images()[number][1]
    whole = decode(data, COLOUR, LIMITS)
    assert whole.facts.format == name
    assert _code(data[: len(data) // 3]) == FaultCode.TRUNCATED
    assert np.array_equal(decode(data + b"garbage" * 99, COLOUR, LIMITS).pixels, whole.pixels)


def test_the_narrowest_and_the_smallest_pictures_are_decoded() -> None:
    """A picture of one pixel and one of 65,500 x 1 are stretched like any other."""
    assert _corners(_encoded(Image.new("RGB", (1, 1), BLUE), "PNG")) == [[*BLUE]] * 4
    for size in ((65_500, 1), (1, 65_500)):
        assert decode(_encoded(Image.new("L", size, 99), "JPEG"), GREY, LIMITS).pixels.mean() == 99


_BEGINNINGS: Sequence[bytes] = [b"", *sorted({data[:size] for _, data in seed_images() for size in (12, 40)})]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(_BEGINNINGS), st.binary(max_size=300))
@example(b"\xff\xd8", b"\xff" * 50)
@example(b"", b"<!---->" * 40)
def test_any_bytes_give_pixels_or_a_fault(beginning: bytes, rest: bytes) -> None:
    """Any content gives an array of the right shape or an ImageFault."""
    try:
        pixels = decode(beginning + rest, COLOUR, LIMITS).pixels
    except ImageFault:
        return
    assert pixels.shape == COLOUR.shape
    assert pixels.dtype == np.uint8


def test_mutated_images_never_end_the_process() -> None:
    """1,500 damaged files of every format: no crash, hang, other exception, slow decode or warning."""
    report = hunt(1500, seed=20)
    assert report.violations == []
    assert not [line for line in report.remarks if "Warning" in line]
    assert sum(tally.outcomes.total() for tally in report.tallies.values()) == 1500
