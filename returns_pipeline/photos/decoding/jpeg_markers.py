"""Reads how a JPEG is coded from its markers, without decoding it."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_END_OF_IMAGE, _START_OF_SCAN, _HUFFMAN_TABLES = 0xD9, 0xDA, 0xC4
_BASELINE_MARKERS = frozenset({0xC0, 0xC1, 0xC9})
_LOSSLESS_MARKERS = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_SEQUENTIAL_HUFFMAN, _PROGRESSIVE_HUFFMAN = frozenset({0xC0, 0xC1}), 0xC2
#: A marker that ends a scan's data: neither a stuffed 0xFF byte, nor a restart marker, nor a fill byte.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")


class JpegFrame(NamedTuple):
    """How a JPEG is coded.

    `marker`: its SOF marker. `has_several_scans`: each scan holds a part of every pixel, as in a progressive
    JPEG. `first_scan`, `sof`: byte offsets of the first scan and of the SOF marker; `sof` is 0 if there is
    none.
    """

    marker: int
    has_several_scans: bool
    first_scan: int
    sof: int

    @property
    def is_plain(self) -> bool:
        """Whether one sequential scan with Huffman codes holds the whole picture, as cameras write it."""
        return self.marker in _SEQUENTIAL_HUFFMAN and not self.has_several_scans

    @property
    def is_lossless(self) -> bool:
        """Whether the decoder cannot scale the picture down."""
        return self.marker in _LOSSLESS_MARKERS


class JpegScan(NamedTuple):
    """One scan of a JPEG.

    `start`, `stop`: the byte offsets of its coded data. `is_closed`: whether a marker follows the data.
    `zeros_are_flat`: whether an encoder may write many zero bytes in a row here, for a flat area.
    `components`: the identifiers of its components.
    """

    start: int
    stop: int
    is_closed: bool
    zeros_are_flat: bool
    components: frozenset[int]


def read_jpeg_frame(data: bytes) -> JpegFrame:
    """Walk a JPEG's markers up to its first scan, as libjpeg does."""
    at, marker, components, sof = 2, 0, 0, 0
    while (at := data.find(b"\xff", at)) >= 0 and at + 10 <= len(data):
        code = data[at + 1]
        if code in {0x00, 0x01, 0xFF} or 0xD0 <= code <= 0xD8:
            at += 1 if code == 0xFF else 2
            continue
        if code == _START_OF_SCAN:
            several = marker not in _BASELINE_MARKERS or data[at + 4] < components
            return JpegFrame(marker, several, at, sof)
        if 0xC0 <= code <= 0xCF and code not in {0xC4, 0xC8, 0xCC}:
            marker, components, sof = code, data[at + 9], at
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return JpegFrame(marker, has_several_scans=True, first_scan=len(data), sof=sof)


def count_scans(data: bytes, frame: JpegFrame) -> int:
    """Return how many scans a JPEG has up to the end of its first picture."""
    return sum(1 for _ in scans_of(data, frame))


def scans_of(data: bytes, frame: JpegFrame) -> Iterator[JpegScan]:
    """Yield the scans of a JPEG's first picture. What looks like a marker inside a segment is no marker."""
    first_symbols = _first_symbols(data, 2, frame.first_scan)
    at = frame.first_scan
    while at + 4 <= len(data) and data[at + 1] != _END_OF_IMAGE:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if data[at + 1] != _START_OF_SCAN:
            if data[at + 1] == _HUFFMAN_TABLES:
                first_symbols |= _first_symbols(data, at, end)
            found = _NEXT_MARKER.search(data, end)
        else:
            found = _NEXT_MARKER.search(data, end)
            stop = found.start() if found else len(data)
            header = data[at + 4 : end]
            flat = _zeros_are_flat(frame, header, first_symbols)
            components = frozenset(header[1 : 1 + 2 * header[0] : 2] if header else b"")
            yield JpegScan(min(end, stop), stop, found is not None, flat, components)
        if found is None:
            return
        at = found.start()


def _zeros_are_flat(frame: JpegFrame, header: bytes, first_symbols: dict[int, int]) -> bool:
    """Whether a code of zero bits only may repeat for long in a scan.

    In a sequential scan it must mean "no difference" for the DC tables and "end of block" for the AC tables.
    In a progressive one, only the scans of the DC coefficients can: runs of empty blocks are one code in the
    others (ITU-T T.81, F.1.2 and G.1.2).
    """
    components = header[0] if header else 0
    if frame.marker == _PROGRESSIVE_HUFFMAN:
        return header[1 + 2 * components : 2 + 2 * components] == b"\0"
    if frame.marker not in _SEQUENTIAL_HUFFMAN:
        return True
    tables = header[2 : 2 + 2 * components : 2]
    # The tables that decoders assume if a file has none have 0 and 1.
    return all(
        first_symbols.get(table >> 4, 0) == 0 and first_symbols.get(0x10 | table & 0xF, 1) == 0
        for table in tables
    )


def _first_symbols(data: bytes, at: int, end: int) -> dict[int, int]:
    """Return the symbol whose code has zero bits only, for each Huffman table defined between two offsets.

    The key is the table's class and number as DHT holds them: 0x00 to 0x03 for DC, 0x10 to 0x13 for AC.
    """
    symbols = {}
    while at + 4 <= end and (found := _NEXT_MARKER.search(data, at, end)):
        at = found.start()
        stop = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if data[at + 1] == _HUFFMAN_TABLES:
            table = at + 4
            while table + 17 < stop and table + 17 < len(data):
                symbols[data[table]] = data[table + 17]
                table += 17 + sum(data[table + 1 : table + 17])
        at = max(stop, at + 2) if data[at + 1] != 0xD8 else at + 2
    return symbols


def has_every_component(data: bytes, frame: JpegFrame) -> bool:
    """Whether each component has a scan; a decoder fills one that has none with grey."""
    wanted = data[frame.sof + 10 : frame.sof + 10 + 3 * data[frame.sof + 9] : 3] if frame.sof else b""
    found = frozenset[int]().union(*(scan.components for scan in scans_of(data, frame)))
    return bool(wanted) and found.issuperset(wanted)
