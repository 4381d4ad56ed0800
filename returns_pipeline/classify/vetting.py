"""Checks whether a bundle may classify: intact, proven, able to run, not measurably worse than another."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from returns_pipeline.classify import familiarity
from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.classify.runtimes.registry import does_not_run, load_classifier, runtimes_of
from returns_pipeline.errors import ConfigFault, PipelineError

#: Images of the smoke test: more than one, so that swapped axes are detected.
_SMOKE_IMAGES = 5
#: How far the sum of a prediction's probabilities may be from 1.
_SUM_TOLERANCE = 1e-3
#: One-sided test at 5 %.
_Z_WORSE = NormalDist().inv_cdf(0.95)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two bundles' accuracies compared: `worse` if measurably so, and the result as a sentence."""

    worse: bool
    sentence: str


def require_whole(bundle: Bundle) -> None:
    """Raise ConfigFault unless every listed file is intact and no export contains code of its own."""
    for name in bundle.sha256:
        bundle.file(name)
    familiarity.load(bundle)
    for runtime in runtimes_of(bundle):
        runtime.require_safe(bundle)


def require_sound(bundle: Bundle, runtime: str) -> None:
    """Raise ConfigFault unless a bundle is intact, each of its exports is proven, and `runtime` can run it.

    What must be proven is decided by the runtime of each export.
    """
    require_whole(bundle)
    for each in runtimes_of(bundle):
        each.require_proven(bundle)
    _smoke_test(bundle, runtime)


def _smoke_test(bundle: Bundle, runtime: str) -> None:
    """Let the model classify a few images of noise, always the same ones."""
    shape = (_SMOKE_IMAGES, *bundle.input.shape)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    try:
        scores = load_classifier(bundle, runtime).predict(pixels)
    except PipelineError:
        raise
    except Exception as error:
        raise does_not_run(bundle, error) from error
    probabilities = scores.probabilities
    expected = (_SMOKE_IMAGES, len(bundle.labels))
    if probabilities.shape != expected:
        raise _bad_output(bundle, f"have the shape {probabilities.shape} instead of {expected}")
    if not np.isfinite(probabilities).all():
        raise _bad_output(bundle, "contain values that are not finite numbers")
    if np.abs(probabilities.sum(axis=1) - 1).max() > _SUM_TOLERANCE or probabilities.min() < 0:
        raise _bad_output(bundle, "are not probabilities: each row must sum to 1")


def _bad_output(bundle: Bundle, problem: str) -> ConfigFault:
    return ConfigFault(
        "The predictions of {bundle_ref} for images of noise {problem}.",
        "End the model with a softmax over its labels and train or export it again.",
        bundle_ref=bundle.ref,
        problem=problem,
    )


def compare(bundle: Bundle, active: Bundle) -> Comparison:
    """Compare the accuracy of `bundle` with that of `active` on the same test images.

    A two-proportion z test (pooled variance), one-sided at 5 %.
    """
    reason = _incomparable(bundle, active)
    if reason:
        return Comparison(False, f"Its accuracy could not be compared with that of {active.ref}: {reason}.")
    (ours, our_n), (theirs, their_n) = _accuracy(bundle), _accuracy(active)
    pooled = (ours * our_n + theirs * their_n) / (our_n + their_n)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / our_n + 1 / their_n))
    worse = theirs - ours > _Z_WORSE * deviation
    verdict = "measurably worse than" if worse else "not measurably worse than"
    return Comparison(
        worse,
        f"On {int(our_n):,} test images its accuracy is {ours:.2%}, "
        f"{verdict} the {theirs:.2%} of {active.ref}.",
    )


def _incomparable(bundle: Bundle, active: Bundle) -> str:
    """Return why two accuracies cannot be compared; empty if they can."""
    tests = [each.data.get("test_sha256") for each in (bundle, active)]
    if bundle.labels != active.labels:
        return "their labels differ"
    if None in tests:
        return "the fingerprint of the test images is not recorded"
    if tests[0] != tests[1]:
        return "they were tested on other images"
    for each in (bundle, active):
        accuracy, count = _accuracy(each)
        if not (0 <= accuracy <= 1 and count >= 1):
            return f"{each.ref} does not record its accuracy or the number of its test images"
    return ""


def _accuracy(bundle: Bundle) -> tuple[float, float]:
    """Return a bundle's accuracy and on how many images it was measured; not-a-number if not recorded."""
    count = bundle.metrics.get("n", bundle.data.get("test", math.nan))
    values = (bundle.metrics.get("accuracy", math.nan), count)
    if not all(isinstance(value, int | float) for value in values):
        return math.nan, math.nan
    return float(values[0]), float(values[1])
