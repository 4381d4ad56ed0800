"""How sure a model is: calibrated probabilities, and from which one on an answer stands by itself."""

import math
from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.classify.bundle import Bundle, Staircase
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.models import ReviewThreshold, WantedPrecision

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What a probability that a model rounds to 0 counts as.
_LEAST = np.finfo(np.float32).tiny


def tempered(probabilities: "NDArray[np.float32]", temperature: float) -> "NDArray[np.float32]":
    """Return softmax(log p / temperature) of each row: float32 [n, labels], as `probabilities` is.

    Above 1 the answers become less sure, below 1 surer; their order stays. At 1 they are returned as they
    are. Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017; the
    logarithm of the probabilities differs from the logits there by a constant in each row, which softmax
    takes away.
    """
    if temperature == 1.0:
        return probabilities
    logits = np.log(np.maximum(probabilities, _LEAST))
    logits -= logits.max(axis=1, keepdims=True)
    logits /= np.float32(temperature)
    answers: NDArray[np.float32] = np.exp(logits, out=logits)
    answers /= answers.sum(axis=1, keepdims=True)
    return answers


def review_thresholds(bundle: Bundle, rule: ReviewThreshold) -> "NDArray[np.float64]":
    """Return for each label the least probability that needs no review: float64 [labels].

    Infinity where a wanted precision was never reached. Raises ConfigFault when `rule` wants a precision
    and the bundle does not know its own.
    """
    if not isinstance(rule, WantedPrecision):
        return np.full(len(bundle.labels), rule)
    if not bundle.reliability:
        raise ConfigFault(
            "RETURNS_REVIEW_THRESHOLD={rule} needs to know how often {bundle_ref} is right, and its "
            "bundle does not say.",
            advice="Set RETURNS_REVIEW_THRESHOLD to a probability, like 0.8, or train the model again: new "
            "bundles say it.",
            rule=rule,
            bundle_ref=bundle.ref,
        )
    return np.array([_reaching(staircase, rule.precision) for staircase in bundle.reliability])


def _reaching(staircase: Staircase, precision: float) -> float:
    return next((threshold for threshold, reached in staircase if reached >= precision), math.inf)
