"""Runs a bundle's OpenVINO export on the CPU. Starts without Keras and TensorFlow."""

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from returns_pipeline.classify.bundle import OPENVINO_MODEL, OPENVINO_WEIGHTS, Bundle
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records import Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 128  # the fastest of 16 to 512 on one core for the shipped model, by a few per cent


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
        compiled = core.compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "f32",  # CPUs with bfloat16 would use it, and answer differently
                "INFERENCE_NUM_THREADS": threads,
                "PERFORMANCE_HINT": "LATENCY",
                "ENABLE_CPU_PINNING": False,  # pinned, all processes share one core: two run at half speed
            },
        )
        self._request = compiled.create_infer_request()
        self._labels = len(bundle.labels)

    def predict(self, pixels: "NDArray[np.uint8]") -> Scores:
        """Classify `pixels` uint8 [n, h, w, c], n >= 0: float32 probabilities [n, labels]."""
        probabilities = np.empty((len(pixels), self._labels), np.float32)
        for start in range(0, len(pixels), BATCH):
            self._request.infer([pixels[start : start + BATCH]], share_inputs=True)
            probabilities[start : start + BATCH] = self._request.get_output_tensor(0).data
        return Scores(probabilities)


def _check(model: Any, bundle: Bundle) -> None:
    """Refuse a model whose input or output is not what bundle.json says; `-1` is an axis of any length."""
    (height, width, channels), labels = bundle.input.shape, len(bundle.labels)
    taken, given = _shapes(model.inputs), _shapes(model.outputs)
    if taken != [(-1, height, width, channels)] or given != [(-1, labels)]:
        raise ConfigFault(
            f"The model of bundle {bundle.ref} takes {taken} and gives {given}, but bundle.json says "
            f"{height} x {width} x {channels} and {labels} labels.",
            advice="Restore the bundle's folder or train the model again.",
        )


def _shapes(ports: Any) -> list[tuple[int, ...]]:
    return [
        tuple(axis.get_length() if axis.is_static else -1 for axis in port.partial_shape) for port in ports
    ]
