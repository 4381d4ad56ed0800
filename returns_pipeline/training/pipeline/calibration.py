"""Learns from validation images how reliable a model's probabilities are."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from returns_pipeline.classify.bundle import PrecisionSteps
from returns_pipeline.classify.confidence import tempered

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Bounds of the temperature. Without them, a model that is right on every validation image would get 0.
LOWEST, HIGHEST = 0.25, 10.0
#: Most steps for one label.
MOST_STEPS = 50
#: A precision needs at least this many images, or half of the label's. Otherwise one mislabelled image with
#: the highest probability would count as a precision of 0 % for all thresholds.
LEAST_IMAGES = 50

_DIGITS = 6


class Calibration(NamedTuple):
    """The calibration of a bundle: its temperature, and the precision steps of each label."""

    temperature: float
    precision_steps: tuple[PrecisionSteps, ...]


def calibrate(truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]", labels: int) -> Calibration:
    """Return the calibration that fits validation images.

    `truth` integer [n] and `probabilities` float32 [n, labels], as the model returns them.
    """
    temperature = fit_temperature(truth, probabilities)
    return Calibration(temperature, precision_steps(truth, tempered(probabilities, temperature), labels))


def fit_temperature(truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]") -> float:
    """Return the temperature with the least cross-entropy (4 decimals), between LOWEST and HIGHEST.

    `truth` integer [n], `probabilities` float32 [n, labels], n > 0. The cross-entropy is convex in the
    reciprocal of the temperature, so a line search finds its only minimum.
    """
    from scipy.optimize import minimize_scalar

    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)).astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    true_logits = logits[np.arange(len(truth)), truth]

    def loss(log_temperature: float) -> float:
        scale = math.exp(-log_temperature)
        return float((np.log(np.exp(logits * scale).sum(axis=1)) - true_logits * scale).mean())

    bounds = (math.log(LOWEST), math.log(HIGHEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    return round(math.exp(float(found.x)), 4)


def precision_steps(
    truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]", labels: int
) -> tuple[PrecisionSteps, ...]:
    """Return (threshold, precision) pairs for each label, both ascending, at most MOST_STEPS.

    The precision of a threshold is the share of correct predictions among the images that are predicted as
    this label with at least that probability. It is a lower bound for every higher threshold too. A threshold
    needs LEAST_IMAGES images, or half of the label's if that is fewer. A label that is never predicted has no
    steps.

    `truth` integer [n], `probabilities` float32 [n, labels], calibrated.
    """
    predicted = probabilities.argmax(axis=1)
    # Rounded down, so that an image still reaches the threshold that comes from its own probability.
    highest = np.floor(probabilities.max(axis=1).astype(np.float64) * 10**_DIGITS) / 10**_DIGITS
    correct = predicted == truth
    masks = (predicted == label for label in range(labels))
    return tuple(_steps(highest[mask], correct[mask]) for mask in masks)


def _steps(highest: "NDArray[np.float64]", correct: "NDArray[np.bool_]") -> PrecisionSteps:
    if not len(highest):
        return ()
    order = np.argsort(-highest, kind="stable")
    highest, correct = highest[order], correct[order]
    precision = correct.cumsum() / np.arange(1, len(correct) + 1)
    # Images with the same probability reach a threshold together: only the last of them has the final count.
    counts = np.append(highest[1:] != highest[:-1], True)
    counts[: min(LEAST_IMAGES, -(-len(correct) // 2)) - 1] = False
    thresholds, kept = highest[counts], np.minimum.accumulate(precision[counts]).round(_DIGITS)
    # Of several thresholds with the same precision, the lowest is the useful one.
    lowest = np.append(kept[1:] != kept[:-1], True)
    thresholds, kept = thresholds[lowest][::-1], kept[lowest][::-1]
    # Leaving out a step is safe: the next higher threshold applies instead.
    steps = np.unique(np.linspace(0, len(kept) - 1, MOST_STEPS).round().astype(int))
    return tuple(zip(thresholds[steps].tolist(), kept[steps].tolist(), strict=True))
