"""Exact search among vectors of int8, by the cosine."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Vectors that are kept as float32: at most 100 MB.
MOST_CONVERTED = 100_000
#: Vectors that are converted at once.
_AT_ONCE = 16_384


class Found(NamedTuple):
    """Ids int64 [k] and cosines float32 [k], the nearest first; of equal ones the lower id."""

    ids: "NDArray[np.int64]"
    cosines: "NDArray[np.float32]"


class Exact:
    """Compares a vector with all others. Up to MOST_CONVERTED are kept as float32, so that it is one product.

    More are kept as they are, 1 byte a number, and converted in parts at each search.
    """

    def __init__(self, ids: "NDArray[np.int64]", vectors: "NDArray[np.int8]") -> None:
        """Take ids [n] and int8 [n, d]."""
        self._ids, self._vectors = ids, vectors
        self._rows = unit(vectors) if len(vectors) <= MOST_CONVERTED else None

    def search(self, one: "NDArray[np.int8]", count: int) -> Found:
        """Return the `count` nearest of int8 [d]."""
        if not len(self._ids):
            return Found(self._ids, np.empty(0, np.float32))
        values = self._cosines(unit(one[None])[0])
        count = min(count, len(values))
        is_part = 0 < count < len(values)
        some = np.argpartition(-values, count - 1)[:count] if is_part else np.arange(len(values))
        order = some[np.lexsort((self._ids[some], -values[some]))]
        return Found(self._ids[order], values[order])

    def _cosines(self, one: "NDArray[np.float32]") -> "NDArray[np.float32]":
        if self._rows is not None:
            return self._rows @ one
        parts = range(0, len(self._vectors), _AT_ONCE)
        return np.concatenate([unit(self._vectors[start : start + _AT_ONCE]) @ one for start in parts])


def unit(vectors: "NDArray[np.int8]") -> "NDArray[np.float32]":
    """Return the rows of int8 [n, d] as float32 of length 1; a row of zeros stays zeros."""
    rows = vectors.astype(np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1)
    return rows
