"""What it costs to know how familiar a photo is: processor time of one process.

`python -m benchmarks.familiarity_cost MODEL [ROUNDS]`. The same batches are predicted with the bundle's file
and without it, in turns, so that both have the same neighbours on the machine.
"""

import sys
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from returns_pipeline.classify.bundle import Bundle, find_bundle
from returns_pipeline.classify.predictions import to_predictions
from returns_pipeline.classify.runtimes.openvino_runtime import OpenVINOClassifier
from returns_pipeline.settings import load_settings

_PHOTOS = 64


def main(model: str, rounds: int) -> None:
    """Print the microseconds of a photo with and without, and their difference."""
    bundle = find_bundle(load_settings().models_dir, model)
    without = replace(bundle, familiarity=None)
    classifiers = [(each, OpenVINOClassifier(each)) for each in (without, bundle)]
    pixels = np.random.default_rng(0).integers(0, 256, (_PHOTOS, *bundle.input.shape), np.uint8)
    taken = np.array([[_microseconds(*each, pixels) for each in classifiers] for _ in range(rounds)])
    plain, told = np.median(taken, axis=0)
    more = float(np.median(taken[:, 1] - taken[:, 0]))
    print(
        f"{bundle.ref}: {plain:.0f} µs a photo without, {told:.0f} with; {more:+.1f} µs ({more / plain:+.2%})"
    )


def _microseconds(bundle: Bundle, classifier: OpenVINOClassifier, pixels: NDArray[np.uint8]) -> float:
    began = time.process_time()
    to_predictions(bundle, classifier.predict(pixels), 0.8, least_familiarity=0.01)
    return (time.process_time() - began) / len(pixels) * 1e6


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 40)
