"""Finds nearly identical images by a perceptual hash and by their pixels at 32 x 32.

The hash is pHash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010): the
8 x 8 lowest frequencies of a 32 x 32 grey image, each compared with their median. NumPy only.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

SIDE = 32
#: Bits in which the hashes of nearly identical images may differ. Over 3,409 photos of clothes, four of
#: the five pairs within 4 bits show different items; the fifth, one photo saved twice, has 0 bits.
MOST_BITS = 2
#: Levels of 255 by which two small images may differ on average. A photo that is saved again or scaled
#: differs by less than 3; 99 % of the pairs in Fashion-MNIST with nearly equal hashes differ by more than 5.
MOST_LEVELS = 4.0
_BLOCK = 1 << 14
_FREQUENCIES = np.cos(np.pi * (2 * np.arange(SIDE) + 1) * np.arange(8)[:, None] / (2 * SIDE)).astype(
    np.float32
)


def perceptual_hashes(small: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each grey image: `small` uint8 [n, 32, 32], out uint64 [n]."""
    hashes = np.empty(len(small), np.uint64)
    for at in range(0, len(small), _BLOCK):
        block = small[at : at + _BLOCK].astype(np.float32)
        waves = (_FREQUENCIES @ block @ _FREQUENCIES.T).reshape(-1, 64)
        # The median leaves out the first frequency, which is the overall brightness.
        bits = waves > np.median(waves[:, 1:], axis=1, keepdims=True)
        hashes[at : at + _BLOCK] = np.packbits(bits, axis=1).view(">u8")[:, 0]
    return hashes


def near_pairs(small: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return int64 [pairs, 2]: the positions i < j of nearly identical images in `small`, ascending.

    `small` uint8 [n, 32, 32]. Nearly identical: hashes within MOST_BITS, mean difference within MOST_LEVELS.
    """
    hashes = perceptual_hashes(small)
    found = [np.empty((0, 2), np.int64)]
    for first, second in _candidates(hashes):
        close = np.bitwise_count(hashes[first] ^ hashes[second]) <= MOST_BITS
        pairs = np.stack([first[close], second[close]], axis=1)
        apart = np.abs(small[pairs[:, 0]].astype(np.int16) - small[pairs[:, 1]]).mean(axis=(1, 2))
        found.append(np.sort(pairs[apart <= MOST_LEVELS], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _candidates(hashes: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield blocks of pairs with two equal 16-bit words: with 2 different bits, two of four are equal."""
    words = hashes[:, None] >> np.array([48, 32, 16, 0], np.uint64) & np.uint64(0xFFFF)
    for one, other in combinations(range(4), 2):
        keys = words[:, one] << np.uint64(16) | words[:, other]
        order = np.argsort(keys, kind="stable")
        same = keys[order]
        # Compare each with the next, then with the one after it, until no pair is equal.
        starts = np.arange(len(order) - 1)
        step = 1
        while len(starts := starts[same[starts] == same[starts + step]]):
            for at in range(0, len(starts), _BLOCK):
                block = starts[at : at + _BLOCK]
                yield order[block], order[block + step]
            step += 1
            starts = starts[starts + step < len(order)]


def groups_of(count: int, pairs: Sequence[tuple[int, int]] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Return int64 [count]: the same number for positions that `pairs` connect, directly or indirectly."""
    parents = list(range(count))

    def top(position: int) -> int:
        while parents[position] != position:
            parents[position] = position = parents[parents[position]]
        return position

    for first, second in pairs:
        low, high = sorted((top(int(first)), top(int(second))))
        parents[high] = low
    return np.array([top(position) for position in range(count)], np.int64)
