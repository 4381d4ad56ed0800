"""How far a model's probabilities can be believed, learned from images that it was not trained on."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.classify.confidence import tempered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from returns_pipeline.classify.bundle import Bundle, Staircase

#: No useful model needs another temperature. A model that is right on every validation image would want 0.
LOWEST, HIGHEST = 0.25, 10.0
#: Most steps of a label's staircase.
MOST_STEPS = 50
#: A precision is believed from this many images on, or half of a label's: the surest one alone, mislabelled,
#: would say 0 % for all that follow.
LEAST_IMAGES = 50

_DIGITS = 6


def calibrated(
    truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]", labels: int
) -> "tuple[float, tuple[Staircase, ...]]":
    """Return what a bundle needs for calibrated answers: its temperature, and its labels' reliability.

    `truth` integer [n] and `probabilities` float32 [n, labels] of validation images, as the model gives them.
    """
    temperature = fit_temperature(truth, probabilities)
    return temperature, staircases(truth, tempered(probabilities, temperature), labels)


def add_calibration(
    bundle: "Bundle", truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]"
) -> "Bundle":
    """Write a bundle's bundle.json again with what `calibrated` learns, and return the bundle.

    Its digest changes, so that runs which are open keep waiting for the old one: do it before the bundle is
    shipped, or to a copy with a version of its own.
    """
    temperature, reliability = calibrated(truth, probabilities, len(bundle.labels))
    better = replace(bundle, temperature=temperature, reliability=reliability)
    better.save()
    return better


def fit_temperature(truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]") -> float:
    """Return the temperature with the least cross-entropy (4 decimals), between LOWEST and HIGHEST.

    `truth` integer [n], `probabilities` float32 [n, labels], n > 0. The cross-entropy is convex in the
    temperature's reciprocal, so that a search on a line finds its only minimum.
    """
    from scipy.optimize import minimize_scalar

    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)).astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    of_truth = logits[np.arange(len(truth)), truth]

    def loss(log_temperature: float) -> float:
        scale = math.exp(-log_temperature)
        return float((np.log(np.exp(logits * scale).sum(axis=1)) - of_truth * scale).mean())

    bounds = (math.log(LOWEST), math.log(HIGHEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    return round(math.exp(float(found.x)), 4)


def staircases(
    truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]", labels: int
) -> "tuple[Staircase, ...]":
    """Return each label's staircase: (threshold, precision) pairs, both ascending, at most MOST_STEPS.

    The precision is the share of right answers among the images that are predicted as the label with at
    least the threshold's probability; that of a step holds for every higher threshold too. Only thresholds
    that at least LEAST_IMAGES images reach count, or half of a label's with fewer. A label that is never
    predicted has no step. `truth` integer [n], `probabilities` float32 [n, labels], as they are served.
    """
    predicted = probabilities.argmax(axis=1)
    # Rounded down, so that an image reaches the threshold that its own probability has become.
    chances = np.floor(probabilities.max(axis=1).astype(np.float64) * 10**_DIGITS) / 10**_DIGITS
    right = predicted == truth
    return tuple(_staircase(chances[mine], right[mine]) for mine in (predicted == i for i in range(labels)))


def _staircase(chances: "NDArray[np.float64]", right: "NDArray[np.bool_]") -> "Staircase":
    if not len(chances):
        return ()
    order = np.argsort(-chances, kind="stable")
    chances, right = chances[order], right[order]
    precision = right.cumsum() / np.arange(1, len(right) + 1)
    # Images of the same probability reach a threshold together: the last of them has counted them all.
    counts = np.append(chances[1:] != chances[:-1], True)
    counts[: min(LEAST_IMAGES, -(-len(right) // 2)) - 1] = False
    thresholds, kept = chances[counts], np.minimum.accumulate(precision[counts]).round(_DIGITS)
    # Of thresholds with the same precision the lowest is the one to know.
    lowest = np.append(kept[1:] != kept[:-1], True)
    thresholds, kept = thresholds[lowest][::-1], kept[lowest][::-1]
    # A step that is left out makes its answers need the next higher one: safe.
    steps = np.unique(np.linspace(0, len(kept) - 1, MOST_STEPS).round().astype(int))
    return tuple(zip(thresholds[steps].tolist(), kept[steps].tolist(), strict=True))
