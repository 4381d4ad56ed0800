"""Checks and filters the chunks of a PNG."""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from returns_pipeline.errors import FaultCode, ImageFault

_PICTURE = frozenset({b"IHDR", b"PLTE", b"IDAT"})
#: Ancillary chunks that are kept for a second attempt, with the lengths that they may have.
_CLEAR_LENGTHS = {0: (2,), 2: (6,), 3: range(257)}
#: Chunks that state colours, with their lengths.
_COLOUR_LENGTHS = {b"cICP": 4, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1}
#: Bytes of a profile that Pillow unpacks.
_LONGEST_PROFILE = 1 << 20
#: Longer text is not read: a photo's orientation is no reason to decompress megabytes.
_LONGEST_TEXT = 1 << 20
_RAW_PROFILE = (b"Raw profile type exif\0", b"Raw profile type APP1\0")
_XMP = b"XML:com.adobe.xmp\0\0"


class _Chunk(NamedTuple):
    name: bytes
    at: int
    end: int
    is_intact: bool


def require_picture_chunks(data: bytes) -> None:
    """Raise ImageFault truncated if the CRC of a chunk that holds the picture is wrong.

    Pillow does not check the CRC of IDAT chunks.
    """
    for chunk in _chunks(data):
        if chunk.name in _PICTURE and not chunk.is_intact:
            raise ImageFault(
                FaultCode.TRUNCATED,
                "The image's data is damaged: the checksum of its chunk {chunk} is wrong.",
                chunk=chunk.name.decode(),
            )


def only_needed_chunks(data: bytes) -> bytes:
    """Return a PNG without the chunks that do not change the picture, or that are damaged.

    Browsers ignore an ancillary chunk with a wrong CRC or length too. Large texts go.
    """
    kept = [data[:8]]
    for chunk in _chunks(data):
        content = data[chunk.at + 8 : chunk.end - 4]
        is_picture = chunk.name in _PICTURE or chunk.name == b"IEND"
        if is_picture or (chunk.is_intact and _is_needed(chunk.name, content, data[25])):
            kept.append(data[chunk.at : chunk.end])
    return b"".join(kept)


def _is_needed(name: bytes, content: bytes, colour_type: int) -> bool:
    if name == b"tRNS":
        return len(content) in _CLEAR_LENGTHS.get(colour_type, ())
    if name in _COLOUR_LENGTHS:
        return len(content) == _COLOUR_LENGTHS[name]
    if name == b"iCCP":
        return _is_profile(content)
    if name in {b"tEXt", b"iTXt"} and len(content) <= _LONGEST_TEXT:
        return content.startswith((*_RAW_PROFILE, _XMP))
    return name == b"eXIf"


def _is_profile(content: bytes) -> bool:
    """Whether a chunk holds a compressed profile that Pillow accepts."""
    name, separator, rest = content.partition(b"\0")
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(rest[1:], _LONGEST_PROFILE)
    except zlib.error:
        return False
    return bool(name and separator) and rest[:1] == b"\0" and unpacker.eof


def _chunks(data: bytes) -> Iterator[_Chunk]:
    view, at = memoryview(data), 8
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        name = data[at + 4 : at + 8]
        if end > len(data):
            # A cut chunk, which the decoder reports itself if it needs the rest.
            return
        stored = int.from_bytes(data[end - 4 : end])
        yield _Chunk(name, at, end, zlib.crc32(view[at + 4 : end - 4]) == stored)
        if name == b"IEND":
            return
        at = end
