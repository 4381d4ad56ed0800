"""Sets of places in a block, as the index of names stores them."""

import struct
from collections.abc import Iterable, Sequence

#: Places in a block.
BLOCK = 4096
_BITMAP_BYTES = BLOCK // 8


def packed(places: Sequence[int]) -> bytes:
    """Return ascending places as the bytes of a row: uint16 each, or a bitmap where that is shorter."""
    if 2 * len(places) < _BITMAP_BYTES:
        return struct.pack(f"<{len(places)}H", *places)
    return _bits(places).to_bytes(_BITMAP_BYTES, "little")


def unpacked(places: bytes) -> int:
    """Return the places of a row as the bits of a number."""
    if len(places) == _BITMAP_BYTES:
        return int.from_bytes(places, "little")
    return _bits(struct.unpack(f"<{len(places) // 2}H", places))


def _bits(places: Iterable[int]) -> int:
    bits = bytearray(_BITMAP_BYTES)
    for place in places:
        bits[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(bits, "little")


def places_of(bits: int) -> list[int]:
    """Return the places of the bits that are set, ascending."""
    found = []
    for at, byte in enumerate(bits.to_bytes(BLOCK // 8, "little")):
        if byte:
            found += [8 * at + bit for bit in _BITS_OF_BYTE[byte]]
    return found


_BITS_OF_BYTE: tuple[tuple[int, ...], ...] = tuple(
    tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256)
)
