"""Reads how a JPEG is coded from its markers, without decoding it."""

from typing import NamedTuple

_END_OF_IMAGE, _START_OF_SCAN = b"\xff\xd9", b"\xff\xda"
_BASELINE_MARKERS = frozenset({0xC0, 0xC1, 0xC9})
_LOSSLESS_MARKERS = frozenset({0xC3, 0xC7, 0xCB, 0xCF})


class JpegFrame(NamedTuple):
    """How a JPEG is coded.

    `marker`: its SOF marker. `has_several_scans`: each scan holds a part of every pixel, as in a progressive
    JPEG. `first_scan`: byte offset of the first scan.
    """

    marker: int
    has_several_scans: bool
    first_scan: int

    @property
    def is_lossless(self) -> bool:
        """Whether the decoder cannot scale the picture down."""
        return self.marker in _LOSSLESS_MARKERS


def read_jpeg_frame(data: bytes) -> JpegFrame:
    """Walk a JPEG's markers up to its first scan, as libjpeg does."""
    at, marker, components = 2, 0, 0
    while (at := data.find(b"\xff", at)) >= 0 and at + 10 <= len(data):
        code = data[at + 1]
        if code in {0x00, 0x01, 0xFF} or 0xD0 <= code <= 0xD8:
            at += 1 if code == 0xFF else 2
            continue
        if code == _START_OF_SCAN[1]:
            several = marker not in _BASELINE_MARKERS or data[at + 4] < components
            return JpegFrame(marker, several, at)
        if 0xC0 <= code <= 0xCF and code not in {0xC4, 0xC8, 0xCC}:
            marker, components = code, data[at + 9]
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return JpegFrame(marker, has_several_scans=True, first_scan=len(data))


def count_scans(data: bytes, frame: JpegFrame) -> int:
    """Return how many scans a JPEG has up to the end of its first picture."""
    end = data.find(_END_OF_IMAGE, frame.first_scan)
    return data.count(_START_OF_SCAN, frame.first_scan, end if end > 0 else len(data))
