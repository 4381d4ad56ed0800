"""What makes two photos alike, in 64 bytes: the direction of a model's features."""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Numbers of an embedding. Among the official Fashion-MNIST test images, the three nearest by the features of
#: `fashion-mnist/2` have the same label in 90.8 %; with 64 numbers in 90.5 %, with 32 in 88.8 %.
DIMENSIONS = 64


def embeddings(features: "NDArray[np.float32]") -> "NDArray[np.int8]":
    """Return int8 [n, DIMENSIONS] for float32 [n, f]: the cosine of two rows is about that of the features.

    More features than DIMENSIONS are projected onto random signs, the same ones everywhere and always
    (Achlioptas, "Database-friendly random projections", Journal of Computer and System Sciences 66, 2003).
    Each row then fills the range of its type: only its direction counts.
    """
    count, width = features.shape
    if width > DIMENSIONS:
        reduced = features @ _signs(width)
    else:
        reduced = np.zeros((count, DIMENSIONS), np.float32)
        reduced[:, :width] = features
    largest = np.abs(reduced).max(axis=1, keepdims=True, initial=0)
    reduced *= np.divide(127, largest, out=np.zeros_like(largest), where=largest > 0)
    vectors: NDArray[np.int8] = np.rint(reduced).astype(np.int8)
    return vectors


@cache
def _signs(width: int) -> "NDArray[np.float32]":
    # Raw bits: NumPy promises that they stay the same in every version; of its distributions it does not.
    bits = np.random.PCG64(0).random_raw(width * DIMENSIONS) >> 63
    return np.where(bits, 1, -1).astype(np.float32).reshape(width, DIMENSIONS)


def cosines(rows: "NDArray[np.int8]", one: "NDArray[np.int8]") -> "NDArray[np.float32]":
    """Return the cosine of each row of int8 [n, DIMENSIONS] with `one`: float32 [n], 0 for a row of zeros."""
    many, single = rows.astype(np.float32), one.astype(np.float32)
    lengths = np.linalg.norm(many, axis=1) * np.linalg.norm(single)
    found: NDArray[np.float32] = (many @ single) / np.maximum(lengths, 1)
    return found
