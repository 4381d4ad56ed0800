"""Finds the zeros of reserved but unwritten space, which decoders take for picture data.

A copy that reserves the whole file first, and a bad card, leave files of full size whose rest is zeros.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.photos.decoding.heif_boxes import coded_extents
from returns_pipeline.photos.decoding.jpeg_markers import read_jpeg_frame, scans_of
from returns_pipeline.photos.decoding.scaling import strips_of
from returns_pipeline.photos.decoding.tiff_tags import COMPRESSION, STRIP_BYTES, STRIP_OFFSETS, tags_of

#: Zero bytes in a row from which a JPEG's data is examined, and from which a file's end is.
_JPEG_RUN, _END_RUN = bytes(256), bytes(16)
#: Zero bytes in a row that no encoder of HEVC, VP8L or a compressed TIFF writes. Measured on pictures of one
#: colour: at most 61. HEVC itself forbids more than two (ITU-T H.265, 7.4.2).
_CODED_RUN = bytes(128)
#: Zero bytes at the end of an uncompressed picture from which its last row is examined.
_RAW_RUN = bytes(512)


def require_written(data: bytes, name: str) -> None:
    """Raise ImageFault truncated if a WebP, HEIF, AVIF or JPEG 2000 has zeros inside its coded picture."""
    if name == "WEBP":
        begin, end, longest = _webp_payload(data)
        unwritten = bytes(longest) in data[begin:end]
    elif name in {"HEIF", "AVIF"}:
        unwritten = any(_CODED_RUN in data[begin:end] for begin, end in coded_extents(data))
    elif name == "JPEG2000":
        # A damaged header may state any number of pixels: then no file has as many zeros.
        zeros = _jpeg2000_zeros(data)
        unwritten = zeros < len(data) and bytes(zeros) in data
    else:
        return
    if unwritten:
        raise unwritten_fault()


def require_written_rows(image: Image.Image, data: bytes, name: str) -> None:
    """Raise ImageFault truncated if a decoded BMP or TIFF has zeros where its rows should be.

    A blank picture is all zeros and whole. A black margin or background begins at the end of a row, or below
    rows that end in black. Where the zeros begin within a row, below a row that does not end in black, the
    rest was never written.
    """
    if name == "TIFF":
        tags = tags_of(image)
        if tags.get(COMPRESSION, 1) != 1:
            offsets, sizes = tags.get(STRIP_OFFSETS, ()), tags.get(STRIP_BYTES, ())
            if any(_is_unwritten(data[at : at + size]) for at, size in zip(offsets, sizes, strict=False)):
                raise unwritten_fault()
            return
    elif name != "BMP":
        return
    if _RAW_RUN in data[-len(_RAW_RUN) :] and _stops_within_a_row(image, name, data):
        raise unwritten_fault()


def jpeg_end(data: bytes) -> int | None:
    """Return the offset where unwritten zeros begin in a JPEG's picture; None if there are none.

    Zeros after the end marker and zeros that a flat area may have are left alone.
    """
    if data.find(_JPEG_RUN) < 0 and not data.endswith(_END_RUN):
        return None
    for scan in scans_of(data, read_jpeg_frame(data)):
        if not scan.is_closed and data.endswith(_END_RUN):
            return max(scan.start, len(data.rstrip(b"\0")))
        if not scan.zeros_are_flat and (at := data.find(_JPEG_RUN, scan.start, scan.stop)) >= 0:
            return at
    return None


def unwritten_fault() -> ImageFault:
    """Return the fault of a file whose rest was never written."""
    return ImageFault(FaultCode.TRUNCATED, "A part of the file is only zeros, as after an interrupted copy.")


def _is_unwritten(strip: bytes) -> bool:
    return _CODED_RUN in strip or (len(strip) > 8 and not strip.strip(b"\0"))


def _webp_payload(data: bytes) -> tuple[int, int, int]:
    """Return where the first coded frame lies, and how many zeros in a row it cannot have.

    VP8 codes a flat area as zeros: up to 0.2 bits a macroblock were measured, 1 bit is allowed. VP8L codes
    repeated rows so: up to 0.26 bits for as many pixels.
    """
    at, longest = 12, len(_CODED_RUN)
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"ANMF":
            at += 24
            continue
        if name == b"VP8 ":
            width, height = (int.from_bytes(data[at + i : at + i + 2], "little") & 0x3FFF for i in (14, 16))
            return at + 8, at + 8 + size, longest + (width // 16 + 1) * (height // 16 + 1) // 8
        if name == b"VP8L":
            bits = int.from_bytes(data[at + 9 : at + 13], "little")
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
            return at + 8, at + 8 + size, longest + (width // 16 + 1) * (height // 16 + 1) // 8
        at += 8 + size + size % 2
    return 0, 0, longest


def _jpeg2000_zeros(data: bytes) -> int:
    """Return how many zeros in a row a JPEG 2000 cannot have.

    An empty packet is a zero (ITU-T T.800, B.10.3). A flat area has one for each layer, component, level of
    detail and precinct; a few hundred of the first three are allowed, and small precincts by the area.
    """
    at = data.find(b"\xff\x4f\xff\x51") + 2
    width, height = (int.from_bytes(data[at + i : at + i + 4]) for i in (6, 10))
    return 2048 + width * height // 1024


def _stops_within_a_row(image: Image.Image, name: str, data: bytes) -> bool:
    # The rows of a BMP are stored from the bottom up, unless its height is negative.
    is_flipped = name == "BMP" and not data[25] & 0x80
    last = _last_filled_row(image, is_flipped)
    if last is None or last == (0 if is_flipped else image.height - 1):
        return False
    before = min(last + 1, image.height - 1) if is_flipped else max(last - 1, 0)
    stop = int(np.flatnonzero(_filled(image, last, last + 1)[0])[-1]) + 1
    rest = _filled(image, before, before + 1)[0, stop:]
    return len(rest) > 0 and float(rest.mean()) > 0.5


def _last_filled_row(image: Image.Image, is_flipped: bool) -> int | None:
    """Return the row that is stored last of those that are not all zeros; None if all are."""
    found: int | None = None
    for top, strip in strips_of(image):
        filled = np.flatnonzero(_filled(strip, 0, strip.height).any(axis=1))
        if len(filled):
            if is_flipped:
                return top + int(filled[0])
            found = top + int(filled[-1])
    return found


def _filled(image: Image.Image, top: int, bottom: int) -> NDArray[np.bool_]:
    """Return bool [rows, width]: whether the pixel is not all zeros."""
    samples = np.asarray(image.crop((0, top, image.width, bottom)))
    filled: NDArray[np.bool_] = samples.astype(np.bool_).reshape(*samples.shape[:2], -1).max(axis=2)
    return filled
