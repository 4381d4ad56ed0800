"""Fuses the calibrated probabilities of several photos of one return."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The assumed correlation of what two photos of one item say. 0: each photo is new evidence, as if of another
#: item; 1: a second photo adds nothing. docs/verdicts.md states what each value achieves.
CORRELATION = 0.5
#: The share of photos of several that are assumed to say nothing about the item: one photo of a box vetoes no
#: label.
_UNRELATED = 0.001
#: Stands for a probability of 0 of a single photo, whose logarithm is never taken otherwise.
_SMALLEST = np.finfo(np.float64).tiny


def completed(top: Sequence[tuple[int, float]], labels: int) -> "NDArray[np.float64]":
    """Return the distribution over all labels, float64 [labels], of the stored (label index, p) pairs.

    What is missing to 1 is divided evenly among the labels without a stored probability.
    """
    distribution = np.zeros(labels)
    stored = np.zeros(labels, bool)
    for index, probability in top:
        distribution[index] = probability
        stored[index] = True
    missing = max(0.0, 1.0 - float(distribution.sum()))
    if not stored.all():
        distribution[~stored] = missing / int((~stored).sum())
    total = float(distribution.sum())
    return distribution / total if total > 0 else np.full(labels, 1 / labels)


def effective_photos(photos: int, correlation: float = CORRELATION) -> float:
    """Return how many independent photos `photos` photos with this correlation are worth: 1 to `photos`.

    m / (1 + (m - 1) correlation). Source: Kish, "Survey Sampling", 1965, section 5.4: the effective size of a
    sample that is drawn in clusters.
    """
    return photos / (1 + (photos - 1) * correlation)


def fuse(probabilities: "NDArray[np.floating]", correlation: float = CORRELATION) -> "NDArray[np.float64]":
    """Return the distribution of one item of which there are several photos: float64 [labels].

    `probabilities` [photos, labels], at least one photo; each row is a calibrated distribution. The result is
    proportional to the product of the photos' probabilities, each to the power of `effective_photos` per
    photo. With correlation 0 that is the product of experts (Hinton, "Training Products of Experts by
    Minimizing Contrastive Divergence", Neural Computation 14, 2002); with correlation 1 the geometric mean,
    the logarithmic opinion pool with equal weights (Genest, Zidek, "Combining Probability Distributions: A
    Critique and an Annotated Bibliography", Statistical Science 1, 1986). The labels are taken as equally
    frequent. A single photo keeps its distribution. The order of the photos does not matter.
    """
    photos, labels = probabilities.shape
    rows = probabilities.astype(np.float64)
    if photos == 1:
        single: NDArray[np.float64] = rows[0]
        return single
    rows = (1 - _UNRELATED) * rows + _UNRELATED / labels
    # Sorted, so that the order of the photos does not change the rounding of the sum.
    logs = np.sort(np.log(np.maximum(rows, _SMALLEST)), axis=0).sum(axis=0)
    logs *= effective_photos(photos, correlation) / photos
    fused: NDArray[np.float64] = np.exp(logs - logs.max())
    fused /= fused.sum()
    return fused
