"""Linear maps of features: scores of the values of an attribute, and principal components."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import eigh

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Ridge beside a kernel whose mean diagonal is 1: some thousand products do not determine thousands of
#: features.
_RIDGE = 0.3
#: A column that varies less than this share of its group's mean deviation is noise.
_LEAST_DEVIATION = 0.01
#: A component with less than this share of the first one's variance is noise of float32.
_LEAST_STRENGTH = 1e-5


def classifier(
    features: "NDArray[np.float32]", groups: Sequence[int], values: "NDArray[np.intp]"
) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """Return matrix float32 [f, k] and offset [k] of ridge regression: about 1 for the right one of k values.

    `features` float32 [n, f] are in `groups` of so many columns; each group counts the same. `values` has the
    place of each row's value, from 0. The equations are solved in the smaller of both forms: Saunders,
    Gammerman and Vovk, "Ridge Regression Learning Algorithm in Dual Variables", ICML 1998.
    """
    mean = features.mean(axis=0)
    scale = _scale(features, groups)
    rows = (features - mean) * scale
    wanted = np.eye(int(values.max()) + 1, dtype=np.float32)[values]
    shares = wanted.mean(axis=0)
    if len(rows) <= rows.shape[1]:
        found = rows.T @ np.linalg.solve(_ridged(rows @ rows.T), wanted - shares)
    else:
        found = np.linalg.solve(_ridged(rows.T @ rows), rows.T @ (wanted - shares))
    matrix = (found * scale[:, None]).astype(np.float32)
    return matrix, (shares - mean @ matrix).astype(np.float32)


def _scale(features: "NDArray[np.float32]", groups: Sequence[int]) -> "NDArray[np.float32]":
    deviations = features.std(axis=0)
    scale: NDArray[np.float32] = np.empty_like(deviations)
    start = 0
    for width in groups:
        part = deviations[start : start + width]
        least = _LEAST_DEVIATION * part.mean() + 1e-6
        scale[start : start + width] = 1 / ((part + least) * np.sqrt(width * len(groups)))
        start += width
    return scale


def _ridged(matrix: "NDArray[np.float32]") -> "NDArray[np.float32]":
    np.fill_diagonal(matrix, matrix.diagonal() + _RIDGE)
    return matrix


def principal(
    features: "NDArray[np.float32]", dimensions: int
) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """Return matrix float32 [f, d] and offset [d] of the principal components, partly whitened.

    Each component is divided by the fourth root of its variance: full whitening raises noise.
    """
    mean = features.mean(axis=0)
    rows = features - mean
    is_wide = len(rows) <= rows.shape[1]
    products = rows @ rows.T if is_wide else rows.T @ rows
    # Only the strongest are computed: all of them take ten times as long.
    wanted = (max(0, len(products) - dimensions), len(products) - 1)
    squares, axes = eigh(products, subset_by_index=wanted, overwrite_a=True)
    is_kept = squares > _LEAST_STRENGTH * squares[-1]
    strengths = np.sqrt(squares[is_kept][::-1])
    axes = axes[:, is_kept][:, ::-1]
    if is_wide:
        axes = rows.T @ axes / strengths
    matrix = axes / np.sqrt(strengths / np.sqrt(len(rows)))
    return matrix.astype(np.float32), (-mean @ matrix).astype(np.float32)
