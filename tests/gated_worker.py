"""A worker whose model predicts when a test allows it: `celery -A tests.gated_worker worker`.

GATE is a folder. Before each prediction the worker removes a file from it, and waits until there is one. A
file named `open` stays. It works with older versions of the program too, from a copy beside their packages.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.classify.runtimes.stub_runtime import StubClassifier
from returns_pipeline.records.predictions import Scores
from workers import process
from workers.app import app

__all__ = ["app"]


class GatedClassifier(StubClassifier):
    """The stub classifier, behind the gate."""

    def predict(self, pixels: NDArray[np.uint8]) -> Scores:
        """Return the stub's scores once the gate lets this prediction through."""
        while not _may_pass(Path(os.environ["GATE"])):
            time.sleep(0.01)
        return super().predict(pixels)


def _may_pass(gate: Path) -> bool:
    for path in gate.iterdir():
        if path.name == "open":
            return True
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            return True
    return False


def _load(bundle: Bundle, *_: Any, **__: Any) -> GatedClassifier:
    return GatedClassifier(bundle)


setattr(process, "load_classifier", _load)  # noqa: B010 - replaces the name that the worker imported
