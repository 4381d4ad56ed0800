"""Runs a bundle's model.keras with any Keras backend: on a GPU, or if a bundle has no OpenVINO export."""

from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from returns_pipeline.classify.bundle import KERAS_MODEL, Bundle
from returns_pipeline.classify.runtimes import keras_archive, keras_weights, openvino_runtime
from returns_pipeline.classify.runtimes.interface import Explainer
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.predictions import Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Images in every batch. The last batch is padded, so that the graph is compiled once.
BATCH = 256
#: Images on which float32 and float16 are compared, and the least share with the same label.
TRIAL_IMAGES = 4096
LEAST_MIXED_AGREEMENT = 0.999


class KerasClassifier:
    """A loaded model. Create it in the process that uses it: a TensorFlow model does not survive a fork."""

    def __init__(self, bundle: Bundle, *, mixed: bool = False) -> None:
        """Import Keras and load the model in safe mode.

        With `mixed`, a copy in mixed_float16 classifies the first TRIAL_IMAGES images too. If the labels
        agree, it replaces the model. Raises ConfigFault if Keras is not installed, the file is missing,
        changed or not safe, or the model does not fit bundle.json.
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
        keras_archive.require_safe(path)
        keras_weights.require_plain(path)
        self.batch = BATCH
        self._model = keras.saving.load_model(path, safe_mode=True, compile=False)
        self._bundle = bundle
        self._explainer: Explainer | None = None
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
        self._float16 = _in_float16(self._model) if mixed else None
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
            predicted = self._model.predict_on_batch(padded)[: len(batch)]
            probabilities[start : start + len(batch)] = predicted
            if self._float16 is not None:
                self._compare(predicted, self._float16.predict_on_batch(padded)[: len(batch)])
        return Scores(probabilities)

    def explainer(self) -> Explainer | None:
        """Return an explainer of the bundle's OpenVINO export; None for a bundle without one.

        The export is the same network, and explaining one image needs no GPU.
        """
        if self._explainer is None and openvino_runtime.RUNTIME.has_export(self._bundle):
            self._explainer = openvino_runtime.OpenVINOClassifier(self._bundle).explainer()
        return self._explainer

    def _compare(self, of_float32: "NDArray[np.float32]", of_float16: "NDArray[np.float32]") -> None:
        """Count the labels that differ; after the trial, keep one of the two models."""
        self._compared += len(of_float32)
        self._differing += int((of_float32.argmax(axis=1) != of_float16.argmax(axis=1)).sum())
        if self._compared < TRIAL_IMAGES:
            return
        agreement = 1 - self._differing / self._compared
        is_used = agreement >= LEAST_MIXED_AGREEMENT
        if is_used:
            self._model = self._float16
        self._float16 = None
        log.info("mixed_precision", agreement=round(agreement, 5), used=is_used)


class KerasRuntime:
    """Runs model.keras. See interface.Runtime."""

    def has_export(self, bundle: Bundle) -> bool:
        """Whether the bundle lists model.keras."""
        return KERAS_MODEL in bundle.sha256

    def require_safe(self, bundle: Bundle) -> None:
        """Raise ConfigFault if model.keras has a class that is not on the list, or is of a newer Keras."""
        keras_archive.require_safe(bundle.folder / KERAS_MODEL)

    def require_proven(self, bundle: Bundle) -> None:
        """Accept: model.keras is the reference that other exports are compared with."""

    def load(self, bundle: Bundle, *, threads: int, mixed: bool) -> KerasClassifier:  # noqa: ARG002 - Keras sets its own threads
        """Load the model, see KerasClassifier."""
        return KerasClassifier(bundle, mixed=mixed)


RUNTIME = KerasRuntime()


def _in_float16(model: Any) -> Any:
    """Return a copy of a model that computes in float16; weights and probabilities stay in float32."""
    import keras

    last = getattr(model, "output_names", None) or [model.layers[-1].name]  # a Sequential has no names

    def converted(layer: Any) -> Any:
        policy = "float32" if layer.name in last else "mixed_float16"
        return type(layer).from_config({**layer.get_config(), "dtype": policy})

    copy = keras.models.clone_model(model, clone_function=converted)
    copy.set_weights(model.get_weights())
    return copy
