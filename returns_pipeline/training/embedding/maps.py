"""Linear maps of features: directions that tell values of an attribute apart, and principal components."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: How far the spread within a value is pulled towards a sphere: some thousand products do not determine
#: the spread of two thousand features.
_SHRINKAGE = 0.3


def standardized(
    features: "NDArray[np.float32]",
) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """Return mean and scale of each column of float32 [n, f]."""
    return features.mean(axis=0), features.std(axis=0) + 1e-4


def discriminant(
    features: "NDArray[np.float32]", values: "NDArray[np.intp]", dimensions: int
) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """Return matrix float32 [f, d] and offset [d] of Fisher's linear discriminant; d is at most `dimensions`.

    `values` has the place of each row's attribute value, from 0. The spread within values is regularised as
    in Friedman, "Regularized Discriminant Analysis", JASA 84, 1989.
    """
    mean, scale = standardized(features)
    rows = (features - mean) / scale
    counts = np.bincount(values).astype(np.float32)
    sums = np.zeros((len(counts), rows.shape[1]), np.float32)
    np.add.at(sums, values, rows)
    centres = sums / np.maximum(counts, 1)[:, None]
    within = rows - centres[values]
    spread = within.T @ within / len(rows)
    size = len(spread)
    sphere = np.trace(spread) / size * np.eye(size, dtype=np.float32)
    strengths, axes = np.linalg.eigh((1 - _SHRINKAGE) * spread + _SHRINKAGE * sphere)
    whitening = axes / np.sqrt(strengths)
    _, found, directions = np.linalg.svd(
        np.sqrt(counts)[:, None] * (centres @ whitening), full_matrices=False
    )
    kept = min(dimensions, int((found > found[0] * 1e-4).sum()))
    matrix = (whitening @ directions[:kept].T) / scale[:, None]
    return matrix.astype(np.float32), (-mean @ matrix).astype(np.float32)


def principal(
    features: "NDArray[np.float32]", dimensions: int
) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """Return matrix float32 [f, d] and offset [d] of the principal components, partly whitened.

    Each component is divided by the fourth root of its variance: full whitening raises noise.
    """
    mean = features.mean(axis=0)
    _, strengths, axes = np.linalg.svd(features - mean, full_matrices=False)
    kept = min(dimensions, int((strengths > 1e-6).sum()))
    deviations = strengths[:kept] / np.sqrt(len(features))
    matrix = axes[:kept].T / np.sqrt(deviations)
    return matrix.astype(np.float32), (-mean @ matrix).astype(np.float32)
