"""How well probabilities match the share of correct predictions, and what a review achieves."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The number of bins of Guo et al. 2017.
BINS = 15
#: Most points of a coverage curve.
_POINTS = 200


@dataclass(frozen=True, slots=True)
class CalibrationCurve:
    """The images in bins of equal width by their highest probability; each array is [bins].

    `images` int64; `probability` (mean of the highest probability) and `accuracy` float64, 0 in empty bins.
    Bin i has the probabilities above i / bins, up to and including (i + 1) / bins.
    """

    images: "NDArray[np.int64]"
    probability: "NDArray[np.float64]"
    accuracy: "NDArray[np.float64]"

    @property
    def error(self) -> float:
        """Expected calibration error, 0 to 1: the mean distance of both over the images.

        Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, eq. 3.
        """
        distance = np.abs(self.accuracy - self.probability)
        return float((distance * self.images).sum() / self.images.sum())


@dataclass(frozen=True, slots=True)
class CoverageCurve:
    """The accuracy if the model decides only the images with the highest probabilities.

    Each array is float64 [points]. A share `coverage` of all images has at least the probability `threshold`;
    a share `accuracy` of these is correct. Ascending in `coverage`, which ends at 1.
    """

    coverage: "NDArray[np.float64]"
    threshold: "NDArray[np.float64]"
    accuracy: "NDArray[np.float64]"


@dataclass(frozen=True, slots=True)
class ReviewOutcome:
    """The effect of a review rule: a share `automatic` of the images needs no review.

    A share `accuracy` of these is correct; None when there are none.
    """

    automatic: float
    accuracy: float | None


def calibration_curve(
    truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]", bins: int = BINS
) -> CalibrationCurve:
    """Return how often predictions of each probability are correct.

    `truth` integer [n], `probabilities` float32 [n, labels], n > 0.
    """
    highest = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == truth
    bin_of = np.clip(np.ceil(highest * bins).astype(np.int64) - 1, 0, bins - 1)
    images = np.bincount(bin_of, minlength=bins)
    divisor = np.maximum(images, 1)
    return CalibrationCurve(
        images,
        np.bincount(bin_of, highest, minlength=bins) / divisor,
        np.bincount(bin_of, correct, minlength=bins) / divisor,
    )


def coverage_curve(truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]") -> CoverageCurve:
    """Return accuracy by coverage. `truth` integer [n], `probabilities` float32 [n, labels], n > 0."""
    highest = probabilities.max(axis=1).astype(np.float64)
    order = np.argsort(-highest, kind="stable")
    highest = highest[order]
    correct = (probabilities.argmax(axis=1) == truth)[order].cumsum()
    # A threshold selects all images of one probability or none of them.
    ends = np.flatnonzero(np.append(highest[1:] != highest[:-1], True))
    ends = ends[np.unique(np.linspace(0, len(ends) - 1, _POINTS).round().astype(int))]
    return CoverageCurve((ends + 1) / len(highest), highest[ends], correct[ends] / (ends + 1))


def review_outcome(
    truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]", thresholds: "NDArray[np.float64]"
) -> ReviewOutcome:
    """Return the outcome of a threshold for each label, float64 [labels], on these images.

    `truth` integer [n], `probabilities` float32 [n, labels], n > 0.
    """
    predicted = probabilities.argmax(axis=1)
    sure = probabilities.max(axis=1) >= thresholds[predicted]
    return ReviewOutcome(float(sure.mean()), float((predicted == truth)[sure].mean()) if sure.any() else None)
