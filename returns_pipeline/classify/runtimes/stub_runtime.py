"""A deterministic twin of a model, for tests and for measuring the queue alone."""

import numpy as np
from numpy.typing import NDArray

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.records.predictions import GradCamMap, Scores


class StubClassifier:
    """Answers with the label that an image's mean brightness falls on: the same pixels, the same answer."""

    batch = 256

    def __init__(self, bundle: Bundle) -> None:
        """Take the number of labels from `bundle`; its files are not read."""
        self._labels = len(bundle.labels)

    def predict(self, pixels: NDArray[np.uint8]) -> Scores:
        """Return float32 [n, labels] with 0.9 on one label and the rest spread evenly."""
        count = len(pixels)
        mean = pixels.reshape(count, -1).mean(axis=1) if count else np.zeros(0)
        index = np.minimum((mean * self._labels / 256).astype(np.intp), self._labels - 1)
        rest = 0.1 / max(self._labels - 1, 1)
        probabilities = np.full((count, self._labels), rest, dtype=np.float32)
        probabilities[np.arange(count), index] = 0.9
        # Images of about the same brightness look in about the same direction.
        angle = mean[:, None] * (np.pi / 512)
        features = np.hstack([np.cos(angle), np.sin(angle)]).astype(np.float32)
        return Scores(probabilities, features)

    def gradcam(
        self,
        pixels: NDArray[np.uint8],
        label: int,  # noqa: ARG002 - brightness is all it knows
    ) -> GradCamMap:
        """Return how bright each place of `pixels` uint8 [h, w, c] is."""
        features = self.predict(pixels[np.newaxis]).features
        assert features is not None  # noqa: S101 - as `predict` makes them
        return GradCamMap(pixels.mean(axis=2, dtype=np.float32) / 255, features[0])
