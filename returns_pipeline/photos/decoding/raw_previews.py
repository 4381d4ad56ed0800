"""Finds the JPEG preview inside a camera's raw file: DNG, CR2, CR3, NEF, ARW, RAF, RW2.

Raw sensor data is not developed. The first plain picture of such a file is often a tiny thumbnail, so the
largest preview is used.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.photos.decoding.jpeg_markers import read_jpeg_frame
from returns_pipeline.photos.decoding.orientation import exif_orientation
from returns_pipeline.photos.decoding.stated_colours import exif_profile
from returns_pipeline.records.models import ImageInput

_SUBFILE, _COMPRESSION, _PHOTOMETRIC, _MAKE = 254, 259, 262, 271
_STRIP_OFFSETS, _STRIP_BYTES, _SUB_DIRECTORIES = 273, 279, 330
_JPEG_OFFSET, _JPEG_BYTES, _DNG_VERSION, _RW2_PREVIEW = 513, 514, 50706, 0x2E
#: Colour filter array, and linear raw (Adobe, Digital Negative Specification).
_SENSOR_DATA = frozenset({32803, 34892})
_JPEG_COMPRESSIONS = frozenset({6, 7, 99})
#: Byte sizes of the TIFF types whose values are read: BYTE, ASCII, SHORT, LONG, UNDEFINED, IFD.
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 7: 1, 13: 4}
_MOST_DIRECTORIES, _MOST_ENTRIES, _MOST_VALUES, _MOST_JPEGS = 32, 4096, 64, 64
#: Bytes within which the size of a JPEG preview is sought.
_LONGEST_HEADER = 1 << 18


class _Entry(NamedTuple):
    """One tag: where its values lie, how many, and the first of them as numbers."""

    place: int
    number: int
    values: list[int]


_Directory = dict[int, _Entry]


def is_raw_tiff(data: bytes) -> bool:
    """Whether a file with a TIFF's first bytes is a camera's raw file."""
    if data[8:10] == b"CR":
        return True
    directories = list(_directories(data))
    if not directories:
        return False
    first = directories[0]
    if _DNG_VERSION in first or any(_number(each, _PHOTOMETRIC) in _SENSOR_DATA for each in directories):
        return True
    # A camera's file whose first picture is reduced, with the whole one in a directory below it.
    return _MAKE in first and _SUB_DIRECTORIES in first and _number(first, _SUBFILE) == 1


class Preview(NamedTuple):
    """A preview as a JPEG, and what the raw file states: its orientation, and its colours' ICC profile."""

    jpeg: bytes
    orientation: int
    profile: bytes | None


def require_preview(data: bytes, want: ImageInput) -> Preview:
    """Return the largest preview of a raw file.

    Raises ImageFault unsupported_format if no preview is as large as the model's input.
    """
    best, area = (0, 0), 0
    for at, end in _previews(data):
        width, height = _size(data[at : min(end, at + _LONGEST_HEADER)])
        if width >= want.width and height >= want.height and width * height > area:
            best, area = (at, end), width * height
    if not area:
        raise ImageFault(
            FaultCode.UNSUPPORTED_FORMAT,
            "The camera's raw file has no preview of at least {width} x {height} pixels.",
            width=want.width,
            height=want.height,
        )
    metadata = _metadata(data)
    return Preview(data[best[0] : best[1]], exif_orientation(metadata), exif_profile(metadata))


def _size(jpeg: bytes) -> tuple[int, int]:
    """Return the width and height of a JPEG that can be decoded; zeros for sensor data and anything else."""
    frame = read_jpeg_frame(jpeg)
    if not jpeg.startswith(b"\xff\xd8\xff") or frame.is_lossless or not frame.sof:
        return 0, 0
    at = frame.sof + 5
    return int.from_bytes(jpeg[at + 2 : at + 4]), int.from_bytes(jpeg[at : at + 2])


def _metadata(data: bytes) -> bytes:
    """Return the block of a raw file that is laid out as EXIF."""
    if data[4:8] == b"ftyp":
        at = data.find(b"CMT1", 0, 1 << 16)
        return data[at + 4 : at + (1 << 12)] if at >= 0 else b""
    return data[:4].replace(b"U\0", b"*\0") + data[4 : 1 << 20]


def _previews(data: bytes) -> Iterator[tuple[int, int]]:
    if data.startswith(b"FUJIFILM"):
        at = int.from_bytes(data[84:88])
        yield at, at + int.from_bytes(data[88:92])
    elif data[4:8] == b"ftyp":
        at = -1
        for _ in range(_MOST_JPEGS):
            if (at := data.find(b"\xff\xd8\xff", at + 1)) < 0:
                return
            yield at, len(data)
    else:
        for each in _directories(data):
            yield from _previews_of(each)


def _previews_of(tags: _Directory) -> Iterator[tuple[int, int]]:
    if preview := tags.get(_RW2_PREVIEW):
        yield preview.place, preview.place + preview.number
    if at := _number(tags, _JPEG_OFFSET):
        yield at, at + _number(tags, _JPEG_BYTES)
    strips = tags.get(_STRIP_OFFSETS)
    if (
        strips
        and strips.number == 1
        and _number(tags, _COMPRESSION) in _JPEG_COMPRESSIONS
        and _number(tags, _PHOTOMETRIC) not in _SENSOR_DATA
    ):
        at = strips.values[0]
        yield at, at + _number(tags, _STRIP_BYTES)


def _number(tags: _Directory, tag: int) -> int:
    entry = tags.get(tag)
    return entry.values[0] if entry and entry.values else 0


def _directories(data: bytes) -> Iterator[_Directory]:
    """Yield the directories of a TIFF: the chain of pictures, and those below each."""
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    pending, seen = [int.from_bytes(data[4:8], order)], set[int]()
    while pending and len(seen) < _MOST_DIRECTORIES:
        at = pending.pop(0)
        if at in seen or not 8 <= at < len(data) - 2:
            continue
        seen.add(at)
        count = int.from_bytes(data[at : at + 2], order)
        tags: _Directory = {}
        end = at + 2 + 12 * min(count, _MOST_ENTRIES)
        for entry in range(at + 2, min(end, len(data) - 11), 12):
            tag = int.from_bytes(data[entry : entry + 2], order)
            tags[tag] = _entry(data, entry, order)
        yield tags
        pending.append(int.from_bytes(data[end : end + 4], order))
        if below := tags.get(_SUB_DIRECTORIES):
            pending.extend(below.values)


def _entry(data: bytes, at: int, order: Literal["little", "big"]) -> _Entry:
    size = _TYPE_SIZES.get(int.from_bytes(data[at + 2 : at + 4], order), 0)
    count = int.from_bytes(data[at + 4 : at + 8], order)
    place = at + 8 if size * count <= 4 else int.from_bytes(data[at + 8 : at + 12], order)
    values = [
        int.from_bytes(data[place + size * i : place + size * (i + 1)], order)
        for i in range(min(count, _MOST_VALUES) if size else 0)
    ]
    return _Entry(place, count, values)
