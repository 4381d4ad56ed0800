"""Finds which colour space a file states: an embedded ICC profile, or a name for one.

An embedded profile decides. Numbers of ITU-T H.273 are read from HEIF, AVIF and PNG; PNG's gAMA and cHRM;
and EXIF's mark of Adobe RGB, which cameras write instead of a profile. The curves of HDR, PQ and HLG, are not
converted: a picture needs tone mapping then, not another colour space.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

from PIL import Image

from returns_pipeline.photos.decoding.heif_boxes import boxes_of
from returns_pipeline.photos.decoding.icc_profiles import (
    ADOBE_RGB,
    BT_2020,
    DISPLAY_P3,
    SRGB,
    ColourSpace,
    icc_profile,
)

#: Colour primaries and transfer characteristics of ITU-T H.273 that are converted.
_PRIMARIES = {1: SRGB, 9: BT_2020, 12: DISPLAY_P3}
_GAMMAS = {1: 0.0, 2: 0.0, 4: 2.2, 5: 2.8, 6: 0.0, 8: 1.0, 13: 0.0, 14: 0.0, 15: 0.0}
#: The gamma of a PNG that means sRGB, and how far others are from it.
_SRGB_GAMMA, _SAME_GAMMA, _SAME_XY = 0.45455, 0.02, 0.005
_LEAST_GAMMA, _MOST_GAMMA = 0.2, 1.5
#: Bytes of a PNG in which the chunk cICP is sought; it stands before the first IDAT.
_PNG_HEAD = 1 << 16
_EXIF_DIRECTORY, _INTEROPERABILITY, _COLOUR_SPACE, _INDEX = 0x8769, 0xA005, 0xA001, 1
_ADOBE_RGB_INDEX, _UNCALIBRATED = b"R03", frozenset({2, 0xFFFF})


def stated_profile(image: Image.Image, data: bytes) -> bytes | None:
    """Return the ICC profile of a decoded file's colours; None if they are sRGB or nothing is stated.

    `data`: the file.
    """
    info, name = image.info, image.format
    profile = info.get("icc_profile")
    if isinstance(profile, bytes) and profile:
        return profile
    if name in {"JPEG", "MPO"}:
        exif = info.get("exif")
        return exif_profile(exif) if isinstance(exif, bytes) else None
    if name == "PNG":
        return _profile_of(_png_space(info, data))
    if name == "HEIF":
        stated = info.get("nclx_profile") or {}
        return _profile_of(
            _coded_space(stated.get("color_primaries"), stated.get("transfer_characteristics"))
        )
    if name == "AVIF":
        return _profile_of(_avif_space(data))
    if name == "JPEG2000":
        boxes = (data[at:end] for at, end in _colour_boxes(data))
        return next((box[3:] for box in boxes if box[:1] == b"\2"), None)
    return None


def exif_profile(exif: bytes) -> bytes | None:
    """Return the profile of Adobe RGB if an EXIF block states it.

    It then has no calibrated space and the interoperability index R03 (DCF 2.0).
    """
    if _ADOBE_RGB_INDEX not in exif:
        return None
    exif = exif.removeprefix(b"Exif\0\0")
    order: Literal["little", "big"] = "little" if exif[:2] == b"II" else "big"
    first = int.from_bytes(exif[4:8], order)
    directory = int.from_bytes(_value(exif, first, _EXIF_DIRECTORY, order), order)
    space = int.from_bytes(_value(exif, directory, _COLOUR_SPACE, order)[:2], order)
    below = int.from_bytes(_value(exif, directory, _INTEROPERABILITY, order), order)
    stated = space in _UNCALIBRATED and _value(exif, below, _INDEX, order)[:3] == _ADOBE_RGB_INDEX
    return _profile_of(ADOBE_RGB) if stated else None


@lru_cache(maxsize=8)
def _profile_of(space: ColourSpace | None) -> bytes | None:
    try:
        return None if space is None or space == SRGB else icc_profile(space)
    except ValueError:
        return None


def _coded_space(primaries: object, transfer: object) -> ColourSpace | None:
    space = _PRIMARIES.get(primaries) if isinstance(primaries, int) else None
    gamma = _GAMMAS.get(transfer) if isinstance(transfer, int) else None
    return None if space is None or gamma is None else space._replace(gamma=gamma)


def _png_space(info: dict[str | tuple[int, int], object], data: bytes) -> ColourSpace | None:
    head = data[33 : _PNG_HEAD + 33].partition(b"IDAT")[0]
    at = head.find(b"\0\0\0\4cICP")
    if 0 <= at < len(head) - 9:
        return _coded_space(head[at + 8], head[at + 9])
    gamma = info.get("gamma")
    if "srgb" in info or not isinstance(gamma, float) or not _LEAST_GAMMA <= gamma <= _MOST_GAMMA:
        return None
    exponent = 0.0 if abs(gamma - _SRGB_GAMMA) < _SAME_GAMMA else 1 / gamma
    points = info.get("chromaticity")
    if not isinstance(points, tuple) or len(points) != 8:
        return SRGB._replace(gamma=exponent)
    white, red, green, blue = ((points[i], points[i + 1]) for i in (0, 2, 4, 6))
    stated = ColourSpace(red, green, blue, white, exponent)
    is_srgb = all(
        abs(a - b) < _SAME_XY
        for mine, its in zip(SRGB[:4], stated[:4], strict=True)
        for a, b in zip(mine, its, strict=True)
    )
    return SRGB._replace(gamma=exponent) if is_srgb else stated


def _avif_space(data: bytes) -> ColourSpace | None:
    for at, end in _colour_boxes(data):
        if data[at : at + 4] == b"nclx" and end - at >= 8:
            return _coded_space(int.from_bytes(data[at + 4 : at + 6]), int.from_bytes(data[at + 6 : at + 8]))
    return None


def _colour_boxes(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the offsets of each colour specification of a JPEG 2000, HEIF or AVIF file."""
    pending = [(0, len(data), b"")]
    while pending:
        begin, stop, outer = pending.pop()
        for kind, at, end in boxes_of(data, begin, stop):
            if kind == b"colr" and outer in {b"jp2h", b"ipco"}:
                yield at, end
            elif (outer, kind) in {(b"", b"jp2h"), (b"meta", b"iprp"), (b"iprp", b"ipco")}:
                pending.append((at, end, kind))
            elif (outer, kind) == (b"", b"meta"):
                pending.append((at + 4, end, kind))


def _value(exif: bytes, directory: int, tag: int, order: Literal["little", "big"]) -> bytes:
    """Return the four bytes of a tag's value, or of its place; none if the directory lacks the tag."""
    count = int.from_bytes(exif[directory : directory + 2], order)
    for entry in range(directory + 2, min(directory + 2 + 12 * count, len(exif) - 11), 12):
        if int.from_bytes(exif[entry : entry + 2], order) == tag:
            return exif[entry + 8 : entry + 12]
    return b""
