"""Runs a bundle's model.keras with any Keras backend: on a GPU, or where a bundle has no OpenVINO export."""

from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from returns_pipeline.classify.bundle import KERAS_MODEL, OPENVINO_MODEL, Bundle
from returns_pipeline.classify.runtimes.openvino_runtime import OpenVINOClassifier
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.predictions import GradCamMap, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

BATCH = 256  # every batch has this size, the last one padded, so that the graph is compiled once


#: Images whose labels are compared before float16 is trusted, and the share of them that must agree.
TRIAL = 4096
LEAST_AGREEMENT = 0.999


class KerasClassifier:
    """A loaded model. Make it in the process that uses it: a TensorFlow model does not survive a fork."""

    def __init__(self, bundle: Bundle, *, mixed: bool = False) -> None:
        """Import Keras and load the model in safe mode.

        With `mixed` a twin in mixed_float16 classifies the first TRIAL images beside it. If the labels agree,
        it answers from then on. Raises ConfigFault when Keras is not installed, the file is missing or
        changed, or the model does not fit bundle.json.
        """
        path = bundle.file(KERAS_MODEL)
        try:
            import keras
        except ImportError as error:
            raise ConfigFault(
                "The Keras runtime cannot start: {reason}.",
                advice="`pip install -r requirements-gpu.txt`, or set RETURNS_RUNTIME=openvino.",
                reason=error,
            ) from error
        self.batch = BATCH
        self._model = keras.saving.load_model(path, safe_mode=True, compile=False)
        self._bundle = bundle
        self._gradcam: OpenVINOClassifier | None = None
        self._labels = len(bundle.labels)
        self._shape = bundle.input.shape
        taken, given = self._model.input_shape, self._model.output_shape
        if taken != (None, *self._shape) or given != (None, self._labels):
            raise ConfigFault(
                "The model of bundle {bundle_ref} takes {taken} and gives {given}, but bundle.json says "
                "{shape} and {labels} labels.",
                advice="Restore the bundle's folder or train the model again.",
                bundle_ref=bundle.ref,
                taken=taken,
                given=given,
                shape=self._shape,
                labels=self._labels,
            )
        self._twin = _in_float16(self._model) if mixed else None
        self._compared = self._differing = 0

    def predict(self, pixels: "NDArray[np.uint8]") -> Scores:
        """Classify `pixels` uint8 [n, h, w, c], n >= 0: float32 probabilities [n, labels]."""
        probabilities = np.empty((len(pixels), self._labels), np.float32)
        for start in range(0, len(pixels), BATCH):
            batch = pixels[start : start + BATCH]
            padded = batch
            if len(batch) < BATCH:
                padded = np.zeros((BATCH, *self._shape), np.uint8)
                padded[: len(batch)] = batch
            answers = self._model.predict_on_batch(padded)[: len(batch)]
            probabilities[start : start + len(batch)] = answers
            if self._twin is not None:
                self._compare(answers, self._twin.predict_on_batch(padded)[: len(batch)])
        return Scores(probabilities)

    def gradcam(self, pixels: "NDArray[np.uint8]", label: int) -> GradCamMap | None:
        """Return what it looked at in `pixels` uint8 [h, w, c]; None for a bundle without an export.

        The export for CPUs is asked: it is the same network, and one image needs no GPU.
        """
        if OPENVINO_MODEL not in self._bundle.sha256:
            return None
        if self._gradcam is None:
            self._gradcam = OpenVINOClassifier(self._bundle)
        return self._gradcam.gradcam(pixels, label)

    def _compare(self, answers: "NDArray[np.float32]", of_twin: "NDArray[np.float32]") -> None:
        """Count on which labels the twin agrees; after the trial, keep the one that is to answer."""
        self._compared += len(answers)
        self._differing += int((answers.argmax(axis=1) != of_twin.argmax(axis=1)).sum())
        if self._compared < TRIAL:
            return
        agreement = 1 - self._differing / self._compared
        if agreement >= LEAST_AGREEMENT:
            self._model = self._twin
        self._twin = None
        log.info("mixed_precision", agreement=round(agreement, 5), used=agreement >= LEAST_AGREEMENT)


def _in_float16(model: Any) -> Any:
    """Return a copy of a model that computes in float16; weights and answers stay in float32."""
    import keras

    last = getattr(model, "output_names", None) or [model.layers[-1].name]  # a Sequential knows no names

    def remade(layer: Any) -> Any:
        answers = layer.name in last
        return type(layer).from_config(
            {**layer.get_config(), "dtype": "float32" if answers else "mixed_float16"}
        )

    twin = keras.models.clone_model(model, clone_function=remade)
    twin.set_weights(model.get_weights())
    return twin
