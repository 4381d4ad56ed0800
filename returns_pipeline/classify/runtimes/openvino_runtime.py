"""Runs a bundle's OpenVINO export on the CPU. Starts without Keras and TensorFlow."""

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from returns_pipeline.classify.bundle import OPENVINO_MODEL, OPENVINO_WEIGHTS, Bundle
from returns_pipeline.classify.runtimes import openvino_feature_map
from returns_pipeline.classify.runtimes.openvino_gradcam import GradCam
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.models import ImageInput
from returns_pipeline.records.predictions import GradCamMap, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: No larger batch is faster, not even of the smallest images.
_MOST = 128
#: Values of pixels in a batch whose intermediate results stay in a core's cache. Measured: of 28x28 grey
#: pixels 128 images are best, of 224x224 colours 1 to 4; with 32 of them an image takes 40 % longer.
_CACHED_VALUES = 2**17


def import_openvino() -> Any:
    """Import openvino without its telemetry and return the module.

    `import openvino` alone reports to the vendor's analytics service when the package openvino_telemetry can
    be imported; where it cannot, openvino uses its own stub. A None in sys.modules makes an import fail.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


class OpenVINOClassifier:
    """A loaded model. One instance serves one thread at a time."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """Load and compile the export for `threads` CPU threads.

        Raises ConfigFault when a file is missing or changed, or the model does not fit bundle.json.
        """
        openvino = import_openvino()
        bundle.file(OPENVINO_WEIGHTS)
        core = openvino.Core()
        model = core.read_model(bundle.file(OPENVINO_MODEL))
        _check(model, bundle)
        self._bundle, self._openvino = bundle, openvino
        self._gradcam: GradCam | None = None
        self.batch = best_batch(bundle.input)
        feature_map = openvino_feature_map.last_feature_map(model)
        if feature_map is not None:
            model.add_outputs([openvino_feature_map.features(openvino, feature_map).output(0)])
        # A fixed shape is planned once; the last batch is padded.
        model.reshape([self.batch, *bundle.input.shape])
        self._settings = {
            "INFERENCE_PRECISION_HINT": "f32",  # CPUs with bfloat16 would use it, and answer differently
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # pinned, all processes share one core: two run at half speed
        }
        self._request = core.compile_model(model, "CPU", self._settings).create_infer_request()
        self._features = model.output(1).get_partial_shape()[1].get_length() if feature_map is not None else 0
        self._labels = len(bundle.labels)
        self._padded = np.zeros((self.batch, *bundle.input.shape), np.uint8)

    def predict(self, pixels: "NDArray[np.uint8]") -> Scores:
        """Classify `pixels` uint8 [n, h, w, c], n >= 0."""
        probabilities = np.empty((len(pixels), self._labels), np.float32)
        features = np.empty((len(pixels), self._features), np.float32) if self._features else None
        for start in range(0, len(pixels), self.batch):
            batch = pixels[start : start + self.batch]
            if (count := len(batch)) < self.batch:
                self._padded[:count] = batch
                batch = self._padded
            self._request.infer([batch], share_inputs=True)
            probabilities[start : start + count] = self._request.get_output_tensor(0).data[:count]
            if features is not None:
                features[start : start + count] = self._request.get_output_tensor(1).data[:count]
        return Scores(probabilities, features)

    def gradcam(self, pixels: "NDArray[np.uint8]", label: int) -> GradCamMap | None:
        """Return what it looked at in `pixels` uint8 [h, w, c]; None for a network without convolutions."""
        if not self._features:
            return None
        if self._gradcam is None:
            # Seldom asked for: what it takes is taken when it is.
            model = self._openvino.Core().read_model(self._bundle.file(OPENVINO_MODEL))
            self._gradcam = GradCam(self._openvino, model, self._settings)
        return self._gradcam.map(pixels, label)


def best_batch(size: ImageInput) -> int:
    """Return how many images of this size a core works best on at once."""
    return max(1, min(_MOST, _CACHED_VALUES // (size.height * size.width * size.channels)))


def _check(model: Any, bundle: Bundle) -> None:
    """Refuse a model whose input or output is not what bundle.json says; `-1` is an axis of any length."""
    (height, width, channels), labels = bundle.input.shape, len(bundle.labels)
    taken, given = _shapes(model.inputs), _shapes(model.outputs)
    if taken != [(-1, height, width, channels)] or given != [(-1, labels)]:
        raise ConfigFault(
            "The model of bundle {bundle_ref} takes {taken} and gives {given}, but bundle.json says "
            "{height} x {width} x {channels} and {labels} labels.",
            advice="Restore the bundle's folder or train the model again.",
            bundle_ref=bundle.ref,
            taken=taken,
            given=given,
            height=height,
            width=width,
            channels=channels,
            labels=labels,
        )


def _shapes(ports: Any) -> list[tuple[int, ...]]:
    return [
        tuple(axis.get_length() if axis.is_static else -1 for axis in port.partial_shape) for port in ports
    ]
