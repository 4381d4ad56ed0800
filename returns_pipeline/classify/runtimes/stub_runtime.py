"""A deterministic substitute for a model, for tests and for measuring the queue alone."""

import numpy as np
from numpy.typing import NDArray

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.records.predictions import GradCamMap, Scores


class StubClassifier:
    """Predicts a label from an image's mean brightness: the same pixels give the same prediction."""

    batch = 256

    def __init__(self, bundle: Bundle) -> None:
        """Use the number of labels of `bundle`; its files are not read."""
        self._labels = len(bundle.labels)

    def predict(self, pixels: NDArray[np.uint8]) -> Scores:
        """Return float32 [n, labels] with 0.9 for one label and the rest spread evenly."""
        count = len(pixels)
        mean = pixels.reshape(count, -1).mean(axis=1) if count else np.zeros(0)
        index = np.minimum((mean * self._labels / 256).astype(np.intp), self._labels - 1)
        rest = 0.1 / max(self._labels - 1, 1)
        probabilities = np.full((count, self._labels), rest, dtype=np.float32)
        probabilities[np.arange(count), index] = 0.9
        # Images of similar brightness have features of similar direction.
        angle = mean[:, None] * (np.pi / 512)
        features = np.hstack([np.cos(angle), np.sin(angle)]).astype(np.float32)
        return Scores(probabilities, features)

    def explainer(self) -> "StubClassifier":
        """Return itself."""
        return self

    def gradcam(
        self,
        pixels: NDArray[np.uint8],
        label: int,  # noqa: ARG002 - every label depends on brightness alone
    ) -> GradCamMap:
        """Return the brightness of each pixel of `pixels` uint8 [h, w, c]."""
        features = self.predict(pixels[np.newaxis]).features
        assert features is not None  # noqa: S101 - `predict` returns them
        return GradCamMap(pixels.mean(axis=2, dtype=np.float32) / 255, features[0])


class StubRuntime:
    """Runs any bundle without reading its files. See interface.Runtime."""

    def has_export(self, bundle: Bundle) -> bool:  # noqa: ARG002 - as every runtime
        """Return False: it needs no export."""
        return False

    def require_safe(self, bundle: Bundle) -> None:
        """Accept: no file is read."""

    def require_proven(self, bundle: Bundle) -> None:
        """Accept: there is nothing to prove."""

    def load(self, bundle: Bundle, *, threads: int, mixed: bool) -> StubClassifier:  # noqa: ARG002 - as every runtime
        """Return a StubClassifier."""
        return StubClassifier(bundle)


RUNTIME = StubRuntime()
