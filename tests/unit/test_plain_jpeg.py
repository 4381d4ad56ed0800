"""The fast path for plain JPEGs: the same pictures, and no other verdict on any file than Pillow's."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.photos.decoding import bytes_to_pixels
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.plain_jpeg import decode_plain_jpeg, scaled_size
from returns_pipeline.records.models import ImageInput

WANT, LIMITS = ImageInput(48, 48, 3), Limits(max_bytes=10_000_000, max_pixels=10_000_000)


def photo(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Return a smooth picture with some noise."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9 + band) * 60 + np.cos(y / 13 - band) * 50 for band in range(3)]
    noise = np.random.default_rng(0).normal(0, 4, (height, width, 3))
    pixels = (128 + np.stack(waves, axis=-1) + noise).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def jpeg(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


def fast(data: bytes, want: ImageInput = WANT) -> Image.Image | None:
    with Image.open(io.BytesIO(data)) as image:
        return decode_plain_jpeg(image, data, image.size, want)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_picture_in_full_size_has_pillows_pixels(mode: str, subsampling: int) -> None:
    """A photo that is not scaled down has the same pixels, bit for bit, whatever its subsampling."""
    data = jpeg(photo(51, 49, mode), subsampling=subsampling, quality=80)
    found = fast(data)
    assert found is not None
    assert found.tobytes() == Image.open(io.BytesIO(data)).tobytes()


@pytest.mark.parametrize("size", [(64, 85), (400, 90), (77, 301), (1000, 750)])
def test_a_scaled_picture_shows_the_whole_one(size: tuple[int, int]) -> None:
    """Scaled down by any number of eighths, a picture is no smaller than wanted and shows the same."""
    data = jpeg(photo(*size), quality=90)
    found = fast(data)
    assert found is not None
    assert found.size == scaled_size(size, 48)
    assert min(found.size) >= 48
    whole = Image.open(io.BytesIO(data)).resize(found.size, Image.Resampling.BOX)
    assert _distance(np.asarray(found), np.asarray(whole)) < 8


def _distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the root mean square of the differences."""
    return float(np.sqrt(np.square(one.astype(float) - other).mean()))


def test_other_jpegs_are_left_to_pillow() -> None:
    """Several scans, four colours, and pictures that are still large after scaling are not decoded here."""
    assert fast(jpeg(photo(90, 90), progressive=True)) is None
    assert fast(jpeg(photo(90, 90, "CMYK"))) is None
    assert fast(jpeg(photo(1100, 1000)), ImageInput(1000, 1000, 3)) is None


def _verdict(data: bytes) -> FaultCode | None:
    try:
        bytes_to_pixels.decode(data, WANT, LIMITS)
    except ImageFault as fault:
        return fault.code
    return None


def test_damaged_files_have_the_same_verdict_as_with_pillow_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off anywhere, or with any byte changed, a file is classified or refused as Pillow alone does."""
    whole, draw = jpeg(photo(70, 60)), np.random.default_rng(0)
    damaged = [whole[: len(whole) * part // 40] for part in range(1, 40)] + [whole[:-1], whole[:-2]]
    for at in draw.integers(2, len(whole), 200).tolist():
        damaged.append(whole[:at] + bytes([whole[at] ^ int(draw.integers(1, 256))]) + whole[at + 1 :])
    verdicts = [_verdict(data) for data in damaged]
    monkeypatch.setattr(bytes_to_pixels, "decode_plain_jpeg", lambda *_: None)
    assert verdicts == [_verdict(data) for data in damaged]
    assert {None, FaultCode.TRUNCATED} <= set(verdicts)
