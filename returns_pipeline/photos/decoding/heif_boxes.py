"""Reads where a HEIF or AVIF file stores its coded pictures (ISO/IEC 14496-12, 23008-12)."""

import struct
from collections.abc import Iterator

_CODED = frozenset({b"hvc1", b"av01"})


def boxes_of(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type of each box between two offsets, and the offsets of its content."""
    end = min(end, len(data))
    while at + 8 <= end:
        size, kind, head = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16]), 16
        size = size or end - at
        if size < head:
            return
        yield kind, at + head, min(at + size, end)
        at += size


def coded_extents(data: bytes) -> list[tuple[int, int]]:
    """Return the offsets of the coded pictures of a file; none if its boxes cannot be read."""
    try:
        for kind, begin, end in boxes_of(data, 0, len(data)):
            if kind == b"meta":
                found = {name: (at, stop) for name, at, stop in boxes_of(data, begin + 4, end)}
                pictures = _coded_items(data, *found[b"iinf"])
                return list(_extents(data, found[b"iloc"][0], pictures))
    except (KeyError, IndexError, struct.error):
        pass
    return []


def _coded_items(data: bytes, at: int, end: int) -> set[int]:
    at += 6 if data[at] == 0 else 8
    items = set()
    for kind, begin, _ in boxes_of(data, at, end):
        wide = data[begin] >= 3
        number = int.from_bytes(data[begin + 4 : begin + (8 if wide else 6)])
        name = begin + (10 if wide else 8)
        if kind == b"infe" and data[name : name + 4] in _CODED:
            items.add(number)
    return items


def _extents(data: bytes, at: int, items: set[int]) -> Iterator[tuple[int, int]]:
    version, sizes = data[at], int.from_bytes(data[at + 4 : at + 6])
    offset_size, length_size, base_size, index_size = (sizes >> shift & 0xF for shift in (12, 8, 4, 0))
    index_size = index_size if version in {1, 2} else 0
    id_size = 4 if version == 2 else 2
    at += 6

    def number(size: int) -> int:
        nonlocal at
        at += size
        if at > len(data):
            raise IndexError
        return int.from_bytes(data[at - size : at])

    for _ in range(number(id_size)):
        item = number(id_size)
        method = number(2) & 0xF if version in {1, 2} else 0
        number(2)
        base = number(base_size)
        for _ in range(number(2)):
            number(index_size)
            begin = base + number(offset_size)
            length = number(length_size)
            if item in items and method == 0:
                yield begin, begin + length if length else len(data)
