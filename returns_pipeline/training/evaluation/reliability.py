"""Whether a model's probabilities can be believed, and what asking a person about unsure images brings."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: As in Guo et al. 2017.
BINS = 15
#: Most points of a coverage curve.
_POINTS = 200


@dataclass(frozen=True, slots=True)
class ReliabilityCurve:
    """The images in equal-width bins of their highest probability, each array [bins].

    `images` int64; `probability` (mean of the highest probability) and `accuracy` float64, 0 in empty bins.
    Bin i holds the probabilities above i / bins, up to and with (i + 1) / bins.
    """

    images: "NDArray[np.int64]"
    probability: "NDArray[np.float64]"
    accuracy: "NDArray[np.float64]"

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of both over the images, 0 to 1.

        Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, eq. 3.
        """
        distance = np.abs(self.accuracy - self.probability)
        return float((distance * self.images).sum() / self.images.sum())


@dataclass(frozen=True, slots=True)
class CoverageCurve:
    """What the model alone gets right if it answers only the images it is surest of, each float64 [points].

    Of all images the share `coverage` has at least the probability `threshold`, and of these the share
    `accuracy` is right. Ascending in `coverage`, which ends at 1.
    """

    coverage: "NDArray[np.float64]"
    threshold: "NDArray[np.float64]"
    accuracy: "NDArray[np.float64]"


@dataclass(frozen=True, slots=True)
class Review:
    """What a rule of review does: `automatic` is the share of images that no person sees.

    Of these the share `accuracy` is right; None when there is none.
    """

    automatic: float
    accuracy: float | None


def reliability_curve(
    truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]", bins: int = BINS
) -> ReliabilityCurve:
    """Return how often answers of each probability are right.

    `truth` integer [n], `probabilities` float32 [n, labels], n > 0.
    """
    highest = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == truth
    of_bin = np.clip(np.ceil(highest * bins).astype(np.int64) - 1, 0, bins - 1)
    images = np.bincount(of_bin, minlength=bins)
    divisor = np.maximum(images, 1)
    return ReliabilityCurve(
        images,
        np.bincount(of_bin, highest, minlength=bins) / divisor,
        np.bincount(of_bin, right, minlength=bins) / divisor,
    )


def coverage_curve(truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]") -> CoverageCurve:
    """Return accuracy against coverage. `truth` integer [n], `probabilities` float32 [n, labels], n > 0."""
    highest = probabilities.max(axis=1).astype(np.float64)
    order = np.argsort(-highest, kind="stable")
    highest = highest[order]
    right = (probabilities.argmax(axis=1) == truth)[order].cumsum()
    # Images of the same probability are answered together or not at all.
    ends = np.flatnonzero(np.append(highest[1:] != highest[:-1], True))
    ends = ends[np.unique(np.linspace(0, len(ends) - 1, _POINTS).round().astype(int))]
    return CoverageCurve((ends + 1) / len(highest), highest[ends], right[ends] / (ends + 1))


def review(
    truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]", thresholds: "NDArray[np.float64]"
) -> Review:
    """Return what each label's threshold, float64 [labels], does to these images.

    `truth` integer [n], `probabilities` float32 [n, labels], n > 0.
    """
    predicted = probabilities.argmax(axis=1)
    sure = probabilities.max(axis=1) >= thresholds[predicted]
    return Review(float(sure.mean()), float((predicted == truth)[sure].mean()) if sure.any() else None)
