"""How often the neighbours of a picture have the same attribute: leave one out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEIGHBOURS = 5
_AT_ONCE = 1024


class Agreement(NamedTuple):
    """Shares from 0 to 1. `first`: the nearest other product has the same value.

    `among_five`: the mean share of the five nearest that have it.
    """

    products: int
    first: float
    among_five: float


def neighbours(vectors: "NDArray[np.int8]") -> "NDArray[np.intp]":
    """Return the places of the five nearest other rows of int8 [n, d], nearest first: [n, 5], n > 5."""
    rows = vectors.astype(np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    found = np.empty((len(rows), NEIGHBOURS), np.intp)
    for start in range(0, len(rows), _AT_ONCE):
        values = rows[start : start + _AT_ONCE] @ rows.T
        here = np.arange(len(values))
        values[here, start + here] = -np.inf
        some = np.argpartition(-values, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        order = np.argsort(-np.take_along_axis(values, some, axis=1), axis=1, kind="stable")
        found[start : start + len(values)] = np.take_along_axis(some, order, axis=1)
    return found


def agreement(nearest: "NDArray[np.intp]", values: Sequence[str]) -> Agreement:
    """Return how far the neighbours of each product agree with its value.

    `nearest` [n, 5] as `neighbours` returns it, `values` has n texts. A product without a value is not
    counted, but may be a neighbour.
    """
    names = np.asarray(values, dtype=object)
    is_known = np.array([bool(value) for value in values])
    is_same = (names[nearest] == names[:, None])[is_known]
    if not len(is_same):
        return Agreement(0, 0.0, 0.0)
    return Agreement(len(is_same), float(is_same[:, 0].mean()), float(is_same.mean()))
