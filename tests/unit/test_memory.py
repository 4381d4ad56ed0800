"""The memory that decoding one photo takes, in every format."""

import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.photos.decoding.memory import BYTES_PER_PIXEL
from returns_pipeline.records.models import ImageInput
from tests.unit.odd_files import encoded

WIDTH, HEIGHT = 3000, 2000
PIXELS = WIDTH * HEIGHT
#: Memory besides the pixels that docs/faults.md states: strips, tables, and what an allocator keeps.
BESIDES = 64 << 20
#: The same for these pictures, whose files and texts are small: smaller, so that one copy more is found.
BESIDES_HERE = 20 << 20
WANT = ImageInput(224, 224, 3)
_DOCS = Path(__file__).parents[2] / "docs" / "faults.md"


def _picture(mode: str) -> Image.Image:
    """Return a smooth picture: encoding it is quick."""
    size = (WIDTH, HEIGHT)
    ramp = Image.linear_gradient("L").resize(size)
    image = Image.merge("RGB", (ramp, ramp.transpose(Image.Transpose.ROTATE_180), ramp))
    if mode in {"I", "F", "L", "1", "P", "CMYK"}:
        return image.convert(mode)
    if mode in {"RGBA", "LA"}:
        image.putalpha(ramp)
        return image.convert(mode)
    return image


def _png(depth: int, kind: int, samples: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    rows = (b"\0" + b"\x40" * (WIDTH * samples * depth // 8)) * HEIGHT
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, kind, 0, 0, 0))
    # Another chunk, so that it takes the usual way.
    text = chunk(b"tEXt", b"a\0b")
    body = chunk(b"IDAT", zlib.compress(rows, 1))
    return b"\x89PNG\r\n\x1a\n" + head + text + body + chunk(b"IEND", b"")


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


#: Each kind: bytes of memory for each pixel that docs/faults.md states, mode, format and options.
KINDS: dict[str, tuple[int, str, str, dict[str, Any]]] = {
    "bmp": (4, "RGB", "BMP", {}),
    "gif": (4, "P", "GIF", {"transparency": 1}),
    "png": (4, "RGBA", "PNG", {"compress_level": 1, "exif": _exif()}),
    "png-palette": (4, "P", "PNG", {"compress_level": 1, "transparency": 1}),
    "tiff": (4, "RGBA", "TIFF", {}),
    "tiff-float": (4, "F", "TIFF", {}),
    "tiff-one-strip": (8, "RGBA", "TIFF", {"compression": "tiff_lzw", "strip_size": PIXELS * 4}),
    "jpeg": (1, "RGB", "JPEG", {"exif": _exif()}),
    "jpeg-progressive": (7, "RGB", "JPEG", {"progressive": True, "subsampling": 0}),
    "jpeg-progressive-cmyk": (9, "CMYK", "JPEG", {"progressive": True}),
    "heic": (10, "RGB", "HEIF", {"quality": 20}),
    "avif": (16, "RGBA", "AVIF", {"speed": 10, "quality": 20}),
    "webp": (18, "RGB", "WEBP", {"method": 0, "quality": 20}),
    "webp-lossless": (18, "RGBA", "WEBP", {"lossless": True, "method": 0, "quality": 0}),
    "jp2-tiles": (6, "RGB", "JPEG2000", {"tile_size": (512, 512), "quality_layers": [40]}),
    "jp2": (22, "RGB", "JPEG2000", {"quality_layers": [40]}),
}


def _files() -> dict[str, tuple[int, bytes]]:
    files = {
        name: (cost, encoded(_picture(mode), kind, **options))
        for name, (cost, mode, kind, options) in KINDS.items()
    }
    files["png-sixteen-bits"] = (4, _png(16, 6, 4))
    files["png-plain"] = (4, encoded(_picture("RGB"), "PNG", compress_level=1))
    files["jpeg-no-end"] = (11, files["jpeg-progressive"][1][:-2])
    # Black to the end of the file: the rows are searched for unwritten space.
    files["bmp-black"] = (4, encoded(Image.new("RGB", (WIDTH, HEIGHT)), "BMP"))
    return files


def _peaks(folder: Path, files: dict[str, tuple[int, bytes]], max_pixels: int) -> dict[str, tuple[int, str]]:
    for name, (_, data) in files.items():
        (folder / name).write_bytes(data)
    paths = [str(folder / name) for name in ("jpeg", *files)]  # the first loads what all need
    command = [sys.executable, "-m", "tests.unit.decoding_peaks", str(max_pixels), *paths]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stderr == ""
    found = (line.split() for line in run.stdout.splitlines()[1:])
    return {name: (int(growth), result) for name, growth, result in found}


def test_decoding_takes_the_stated_memory_and_no_more_than_the_bound(tmp_path: Path) -> None:
    """Each format takes the bytes for each pixel that the docs state; what would take more is refused.

    No decoder writes to stderr.
    """
    files = _files()
    for name, (growth, result) in _peaks(tmp_path, files, 4 * PIXELS).items():
        assert result == "classified", name
        assert growth <= files[name][0] * PIXELS + BESIDES_HERE, f"{name}: {growth / PIXELS:.1f} a pixel"
    few = 5 * PIXELS // 4
    repeated = {name: file for name, file in files.items() if file[0] >= 8 or name in {"jpeg", "png"}}
    for name, (growth, result) in _peaks(tmp_path, repeated, few).items():
        costly = files[name][0] > BYTES_PER_PIXEL * few / PIXELS and name not in {"jp2", "jpeg-no-end"}
        assert result == ("too_many_pixels" if costly else "classified"), name
        assert growth <= BYTES_PER_PIXEL * few + BESIDES_HERE, name


def test_the_docs_state_the_bound() -> None:
    """docs/faults.md states the bound and the cost of each format that the test measures."""
    text = " ".join(_DOCS.read_text().split())
    assert f"{BYTES_PER_PIXEL} bytes for each pixel of `RETURNS_MAX_PIXELS` and {BESIDES >> 20} MiB" in text
    stated = dict(re.findall(r"\| (HEIC|AVIF|WebP) \| (\d+) \|", text))
    assert stated == {"HEIC": "10", "AVIF": "16", "WebP": "18"}


@pytest.mark.parametrize("size", [(1, 70_000), (70_000, 1)])
def test_a_side_longer_than_any_photo_is_refused(size: tuple[int, int]) -> None:
    """A picture of few pixels and an endless side does not fill the memory with tables."""
    for kind in ("PNG", "TIFF", "BMP"):
        with pytest.raises(ImageFault) as caught:
            decode(encoded(Image.new("RGB", size), kind), WANT, Limits(1 << 30, 64_000_000))
        assert caught.value.code == FaultCode.TOO_MANY_PIXELS


def test_a_narrow_picture_takes_little_memory(tmp_path: Path) -> None:
    """A picture that is narrower than the model's input is not widened before it is shortened."""
    data = {"narrow": (4, encoded(Image.new("RGB", (20, 60_000)), "PNG"))}
    data["jpeg"] = (1, encoded(Image.new("RGB", (20, 20)), "JPEG"))
    (growth, result) = _peaks(tmp_path, data, 2_000_000)["narrow"]
    assert (result, growth < 60 << 20) == ("classified", True)


def test_less_detail_of_a_large_jpeg2000_is_the_same_picture() -> None:
    """A JPEG 2000 that would take too much memory is decoded smaller; cut off, it is truncated."""
    image = _picture("RGB")
    data = encoded(image, "JPEG2000", quality_layers=[20])
    few = Limits(1 << 30, PIXELS + 1)
    whole = decode(data, WANT, Limits(1 << 30, 8 * PIXELS)).pixels.astype(int)
    reduced = decode(data, WANT, few)
    assert (reduced.facts.width, reduced.facts.height) == (WIDTH, HEIGHT)
    assert 0 < abs(reduced.pixels - whole).mean() < 2
    for cut in (data[: len(data) // 2], data[:-500], data[: len(data) // 2].ljust(len(data), b"\0")):
        with pytest.raises(ImageFault) as caught:
            decode(cut, WANT, few)
        assert caught.value.code == FaultCode.TRUNCATED
