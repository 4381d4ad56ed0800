"""Reads how a photo must be turned, where ExifTool reads it, and turns its pixels.

Only this one tag is parsed: no other metadata can refuse a photo.
"""

import re
from typing import Literal

from PIL import Image

from returns_pipeline.photos.decoding.tiff_tags import number_of, tags_of

_ORIENTATION = 0x0112
#: The types in which ExifTool accepts the orientation, with their size in bytes: BYTE, SHORT, LONG.
_TYPES = {1: 1, 3: 2, 4: 4}
_XMP = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|\s*>)\s*([1-8])\b")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8, of a decoded image; 0 if nothing states a valid one.

    EXIF decides, also as a PNG's text "Raw profile type exif"; then XMP, for JPEG and PNG. Pillow's TIFF
    and HEIF decoders apply theirs themselves.
    """
    info = image.info
    if "exif" in info and (found := exif_orientation(info["exif"])):
        return found
    if image.format == "PNG":
        # Pillow keeps the keys of text chunks as they are written; ImageMagick writes APP1 too.
        for key in ("Raw profile type exif", "Raw profile type APP1"):
            if key in info and (found := exif_orientation(_unhexed(info[key]))):
                return found
    if "xmp" in info and image.format in {"JPEG", "MPO", "PNG"} and isinstance(info["xmp"], bytes):
        found_text = _XMP.search(info["xmp"])
        return int(found_text[1]) if found_text else 0
    return 0


def hide_other_tags(image: Image.Image) -> None:
    """Leave Pillow's TIFF decoder nothing but the orientation, before it loads: it raises on odd tags."""
    exif = Image.Exif()
    exif[_ORIENTATION] = _valid(number_of(tags_of(image).get(_ORIENTATION))) or 1
    image.getexif = lambda: exif  # type: ignore[method-assign]


def turn(image: Image.Image, orientation: int) -> Image.Image:
    """Return the upright picture of an image with this EXIF orientation."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def exif_orientation(exif: object) -> int:
    """Return the orientation, 1 to 8, that an EXIF block states, or 0."""
    if not isinstance(exif, bytes):
        return 0
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "little", b"MM": "big"}.get(exif[:2])
    if order == "little":
        return _from_directory(exif, "little")
    return _from_directory(exif, "big") if order else 0


def _from_directory(exif: bytes, order: Literal["little", "big"]) -> int:
    at = int.from_bytes(exif[4:8], order)
    count = int.from_bytes(exif[at : at + 2], order)
    for entry in range(at + 2, min(at + 2 + 12 * count, len(exif) - 11), 12):
        if int.from_bytes(exif[entry : entry + 2], order) == _ORIENTATION:
            size = _TYPES.get(int.from_bytes(exif[entry + 2 : entry + 4], order), 0)
            values = int.from_bytes(exif[entry + 4 : entry + 8], order)
            # Values that do not fit in four bytes lie elsewhere.
            place = entry + 8 if size * values <= 4 else int.from_bytes(exif[entry + 8 : entry + 12], order)
            return _valid(int.from_bytes(exif[place : place + size], order)) if values else 0
    return 0


def _valid(value: int) -> int:
    return value if 1 <= value <= 8 else 0


def _unhexed(text: object) -> bytes:
    """Return the bytes of a raw profile: lines with a name, a length, and hexadecimal digits."""
    parts = str(text).split(None, 2)
    try:
        profile = bytes.fromhex(parts[2]) if len(parts) == 3 else b""
    except ValueError:
        return b""
    # Some writers put JPEG's APP1 marker and length in front.
    at = profile.find(b"Exif\0\0")
    return profile[at:] if at >= 0 else profile
