"""What a long file has had before, in little memory."""

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Seen:
    """Values that were seen, as 8 bytes each."""

    def __init__(self) -> None:
        """Begin with none."""
        self._sorted: list[NDArray[np.int64]] = []

    def __len__(self) -> int:
        """Return how many values were added; equal ones within one call count each."""
        return sum(map(len, self._sorted))

    def add(self, values: Iterable[Hashable]) -> "NDArray[np.bool_]":
        """Add values; return for each whether an earlier call has added it."""
        new = np.fromiter(map(hash, values), np.int64)
        known = self._known(new)
        if len(new):
            ordered = np.sort(new)
            while self._sorted and len(self._sorted[-1]) <= 2 * len(ordered):
                ordered = np.sort(np.concatenate([self._sorted.pop(), ordered]))
            self._sorted.append(ordered)
        return known

    def has(self, values: Iterable[Hashable]) -> "NDArray[np.bool_]":
        """Return for each value whether it was added."""
        return self._known(np.fromiter(map(hash, values), np.int64))

    def _known(self, new: "NDArray[np.int64]") -> "NDArray[np.bool_]":
        known = np.zeros(len(new), bool)
        for each in self._sorted:
            places = np.minimum(np.searchsorted(each, new), len(each) - 1)
            known |= each[places] == new
        return known
