"""Exact search among vectors of int8, by the cosine."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows that are converted at once.
_AT_ONCE = 65_536


class Found(NamedTuple):
    """Ids int64 [k] and cosines float32 [k], the nearest first; of equal ones the lower id."""

    ids: "NDArray[np.int64]"
    cosines: "NDArray[np.float32]"


class Exact:
    """Vectors as float32 of length 1: 4 bytes a number, so that a search is one product."""

    def __init__(self, ids: "NDArray[np.int64]", vectors: "NDArray[np.int8]") -> None:
        """Take ids [n] and int8 [n, d]."""
        self._ids = ids
        self._rows = np.empty(vectors.shape, np.float32)
        for start in range(0, len(vectors), _AT_ONCE):
            self._rows[start : start + _AT_ONCE] = unit(vectors[start : start + _AT_ONCE])

    def search(self, one: "NDArray[np.int8]", count: int) -> Found:
        """Return the `count` nearest of int8 [d]."""
        if not len(self._ids):
            return Found(self._ids, np.empty(0, np.float32))
        values = self._rows @ unit(one[None])[0]
        count = min(count, len(values))
        is_part = 0 < count < len(values)
        some = np.argpartition(-values, count - 1)[:count] if is_part else np.arange(len(values))
        order = some[np.lexsort((self._ids[some], -values[some]))]
        return Found(self._ids[order], values[order])


def unit(vectors: "NDArray[np.int8]") -> "NDArray[np.float32]":
    """Return the rows of int8 [n, d] as float32 of length 1; a row of zeros stays zeros."""
    rows = vectors.astype(np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1)
    return rows
