"""Calibrated probabilities, and the thresholds below which a prediction needs a review."""

import math
from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.classify.bundle import Bundle, PrecisionSteps
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.models import ReviewThreshold, WantedPrecision

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Stands for a probability that a model rounded to 0.
_SMALLEST = np.finfo(np.float32).tiny


def tempered(probabilities: "NDArray[np.float32]", temperature: float) -> "NDArray[np.float32]":
    """Return softmax(log p / temperature) of each row: float32 [n, labels], as `probabilities` is.

    A temperature above 1 makes predictions less confident, one below 1 more; the order of labels stays. At 1
    the probabilities are returned unchanged. Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern
    Neural Networks", ICML 2017. The paper uses logits; the logarithm of the probabilities differs from them
    by a constant in each row, which softmax removes.
    """
    if temperature == 1.0:
        return probabilities
    logits = np.log(np.maximum(probabilities, _SMALLEST))
    logits -= logits.max(axis=1, keepdims=True)
    logits /= np.float32(temperature)
    calibrated: NDArray[np.float32] = np.exp(logits, out=logits)
    calibrated /= calibrated.sum(axis=1, keepdims=True)
    return calibrated


def review_thresholds(bundle: Bundle, rule: ReviewThreshold) -> "NDArray[np.float64]":
    """Return for each label the least probability that needs no review: float64 [labels].

    Infinity if a label never reached the wanted precision. Raises ConfigFault if `rule` is a precision and
    the bundle has no measured reliability.
    """
    if not isinstance(rule, WantedPrecision):
        return np.full(len(bundle.labels), rule)
    if not bundle.reliability:
        raise ConfigFault(
            "RETURNS_REVIEW_THRESHOLD={rule} needs the measured reliability of {bundle_ref}, which its "
            "bundle does not have.",
            advice="Set RETURNS_REVIEW_THRESHOLD to a probability, like 0.8, or train the model again: new "
            "bundles have it.",
            rule=rule,
            bundle_ref=bundle.ref,
        )
    return np.array([_reaching(steps, rule.precision) for steps in bundle.reliability])


def _reaching(steps: PrecisionSteps, precision: float) -> float:
    """Return the least threshold that reaches a precision; infinity if none does."""
    return next((threshold for threshold, reached in steps if reached >= precision), math.inf)
