"""The fast path for plain PNGs: 8 bits grey or RGB, one IDAT chunk, no other chunks."""

import zlib

from PIL import Image

from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.memory import LONGEST_SIDE

#: Everything before the size.
_HEAD = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
#: Depth, colour type, compression, filter and interlace, with Pillow's mode for them.
_MODES = {b"\x08\x00\x00\x00\x00": "L", b"\x08\x02\x00\x00\x00": "RGB"}
_TAIL = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def decode_plain_png(data: bytes, limits: Limits) -> Image.Image | None:
    """Return the picture of a plain PNG; None for any other file.

    For a small PNG, Image.open takes several times as long to parse the chunks as to decode the pixels.
    Damaged files return None too: Image.open then finds the reason.
    """
    mode = _MODES.get(data[24:29])
    if mode is None or data[:16] != _HEAD or data[37:41] != b"IDAT":
        return None
    end = 41 + int.from_bytes(data[33:37])
    if data[end + 4 :] != _TAIL:
        return None
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    checksums = zlib.crc32(data[12:29]), zlib.crc32(data[37:end])
    stored = int.from_bytes(data[29:33]), int.from_bytes(data[end : end + 4])
    if checksums != stored or not 0 < width * height <= limits.max_pixels:
        return None
    if max(width, height) > LONGEST_SIDE:
        return None
    image = Image.new(mode, (width, height), None)
    try:
        image.frombytes(data[41:end], "zip", mode, 0)
    except ValueError:
        return None
    return image
