"""Whether a bundle may work at night: sound in itself, and not measurably worse than the one that does."""

import math
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from returns_pipeline.classify.bundle import KERAS_MODEL, OPENVINO_MODEL, Bundle
from returns_pipeline.classify.publishing import LEAST_AGREEMENT
from returns_pipeline.classify.runtimes.keras_archive import require_safe
from returns_pipeline.classify.runtimes.registry import load_classifier
from returns_pipeline.errors import ConfigFault, PipelineError

#: Images of the smoke test: a few more than one, so that a mixed-up axis shows.
_SMOKE_IMAGES = 5
#: How far the sum of an answer's probabilities may be from 1.
_SUM_TOLERANCE = 1e-3
#: The normal distribution's quantile for a one-sided test at 5 %.
_Z_WORSE = 1.6449


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a bundle's accuracy stands to another's: measurably worse or not, and in words."""

    worse: bool
    sentence: str


def require_whole(bundle: Bundle) -> None:
    """Raise ConfigFault unless every file is the one that was listed and the model has no code of its own."""
    for name in bundle.sha256:
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts:
            raise ConfigFault(
                "The bundle {bundle_ref} lists {name!r}, which is not a file inside of it.",
                bundle_ref=bundle.ref,
                name=name,
            )
        bundle.file(name)
    if KERAS_MODEL in bundle.sha256:
        require_safe(bundle.folder / KERAS_MODEL)


def require_sound(bundle: Bundle, runtime: str) -> None:
    """Raise ConfigFault unless a bundle is whole, its export agrees with Keras, and `runtime` can run it."""
    require_whole(bundle)
    if OPENVINO_MODEL in bundle.sha256:
        agreement = bundle.metrics.get("openvino_agreement")
        if agreement is None or not agreement >= LEAST_AGREEMENT:
            known = "nobody knows how often" if agreement is None else f"on {agreement:.2%} of the images"
            raise ConfigFault(
                "The OpenVINO export of {bundle_ref} agrees with Keras {known}; "
                "{least_agreement:.1%} are needed.",
                "Train the model again: `returns-pipeline train` measures it.",
                bundle_ref=bundle.ref,
                known=known,
                least_agreement=LEAST_AGREEMENT,
            )
    _smoke(bundle, runtime)


def _smoke(bundle: Bundle, runtime: str) -> None:
    """Let the model answer for a few images of noise, the same ones each time."""
    shape = (_SMOKE_IMAGES, *bundle.input.shape)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    try:
        answers = load_classifier(bundle, runtime).predict(pixels).probabilities
    except PipelineError:
        raise
    except Exception as error:
        # Whatever a runtime says of a file that it cannot run.
        raise ConfigFault(
            "The model of bundle {bundle_ref} does not run: {reason!r}.",
            "Train or export the model again.",
            bundle_ref=bundle.ref,
            reason=error,
        ) from error
    expected = (_SMOKE_IMAGES, len(bundle.labels))
    if answers.shape != expected:
        raise _bad_answer(bundle, f"have the shape {answers.shape} instead of {expected}")
    if not np.isfinite(answers).all():
        raise _bad_answer(bundle, "are not all numbers")
    if np.abs(answers.sum(axis=1) - 1).max() > _SUM_TOLERANCE or answers.min() < 0:
        raise _bad_answer(bundle, "are no probabilities: each row must sum to 1")


def _bad_answer(bundle: Bundle, what: str) -> ConfigFault:
    return ConfigFault(
        "The answers of {bundle_ref} for images of noise {what}.",
        "End the model with a softmax over its labels and train or export it again.",
        bundle_ref=bundle.ref,
        what=what,
    )


def compare(bundle: Bundle, active: Bundle) -> Comparison:
    """Tell whether `bundle` is measurably less accurate than `active`, on the same test images.

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
    """Return why two accuracies say nothing of each other; empty when they do."""
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
            return f"{each.ref} says nothing of its accuracy or of the number of test images"
    return ""


def _accuracy(bundle: Bundle) -> tuple[float, float]:
    """Return a bundle's accuracy and on how many images; not-a-number for what it does not say."""
    count = bundle.metrics.get("n", bundle.data.get("test", math.nan))
    values = (bundle.metrics.get("accuracy", math.nan), count)
    if not all(isinstance(value, int | float) for value in values):
        return math.nan, math.nan
    return float(values[0]), float(values[1])
