"""How a data set is divided: 60 % to learn from, 20 % to watch the learning, 20 % to judge by."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPLIT_SEED = 42


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into one data set, int64, each ascending; no index is in two of them."""

    train: "NDArray[np.int64]"
    validation: "NDArray[np.int64]"
    test: "NDArray[np.int64]"


def split_indices(count: int, seed: int = SPLIT_SEED) -> Split:
    """Divide the indices 0..count-1 into 60, 20 and 20 %, always the same way for one `count` and `seed`."""
    order = np.random.default_rng(seed).permutation(count)
    first, second = count * 3 // 5, count * 4 // 5
    return Split(*(np.sort(part) for part in (order[:first], order[first:second], order[second:])))
