"""Runs a bundle's model.keras with any Keras backend: on a GPU, or where a bundle has no OpenVINO export."""

from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.classify.bundle import KERAS_MODEL, Bundle
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records import Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 256  # every batch has this size, the last one padded, so that the graph is compiled once


class KerasClassifier:
    """A loaded model. Make it in the process that uses it: a TensorFlow model does not survive a fork."""

    def __init__(self, bundle: Bundle) -> None:
        """Import Keras and load the model in safe mode.

        Raises ConfigFault when Keras is not installed, the file is missing or changed, or the model does not
        fit bundle.json.
        """
        path = bundle.file(KERAS_MODEL)
        try:
            import keras
        except ImportError as error:
            raise ConfigFault(
                f"The Keras runtime cannot start: {error}.",
                advice="`pip install -r requirements-gpu.txt`, or set RETURNS_RUNTIME=openvino.",
            ) from error
        self.batch = BATCH
        self._model = keras.saving.load_model(path, safe_mode=True, compile=False)
        self._labels = len(bundle.labels)
        self._shape = bundle.input.shape
        taken, given = self._model.input_shape, self._model.output_shape
        if taken != (None, *self._shape) or given != (None, self._labels):
            raise ConfigFault(
                f"The model of bundle {bundle.ref} takes {taken} and gives {given}, but bundle.json says "
                f"{self._shape} and {self._labels} labels.",
                advice="Restore the bundle's folder or train the model again.",
            )

    def predict(self, pixels: "NDArray[np.uint8]") -> Scores:
        """Classify `pixels` uint8 [n, h, w, c], n >= 0: float32 probabilities [n, labels]."""
        probabilities = np.empty((len(pixels), self._labels), np.float32)
        for start in range(0, len(pixels), BATCH):
            batch = pixels[start : start + BATCH]
            padded = np.zeros((BATCH, *self._shape), np.uint8)
            padded[: len(batch)] = batch
            probabilities[start : start + len(batch)] = self._model.predict_on_batch(padded)[: len(batch)]
        return Scores(probabilities)
