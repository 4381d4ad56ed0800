"""Runs a bundle's OpenVINO export on the CPU. Starts without Keras and TensorFlow."""

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from returns_pipeline.classify import familiarity
from returns_pipeline.classify.bundle import OPENVINO_MODEL, OPENVINO_WEIGHTS, Bundle
from returns_pipeline.classify.runtimes import (
    int8_proof,
    openvino_feature_map,
    openvino_strangeness,
    openvino_xml,
)
from returns_pipeline.classify.runtimes.interface import Explainer
from returns_pipeline.classify.runtimes.openvino_gradcam import GradCam
from returns_pipeline.errors import ConfigFault
from returns_pipeline.languages import N_
from returns_pipeline.records.models import ImageInput, Precision
from returns_pipeline.records.predictions import Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The least share of images for which an export must predict the label that Keras predicts, and the metric
#: of a bundle that records it.
LEAST_AGREEMENT = 0.999
_AGREEMENT_METRIC = "openvino_agreement"
#: Larger batches are not faster, even for the smallest images.
_MAX_BATCH = 128
#: Pixel values in a batch whose intermediate results stay in a core's cache. Measured: 128 images are best at
#: 28 x 28 grey pixels, 1 to 4 at 224 x 224 in colour; there, batches of 32 take 40 % longer per image. In
#: int8, 8 at 240 x 240 take 20 % less than 1.
_CACHED_VALUES = {Precision.FLOAT32: 2**17, Precision.INT8: 2**20}
#: Shapes for fewer images than the best batch. Measured at 28 x 28: one image 0.14 ms, eight 0.65 ms.
_FEWER = (1, 8)
#: A shape is used if at most this share of it stays empty: of 8 or 6 one place. For large images an empty
#: place costs as much as another one.
_MOST_EMPTY = 1 / 6


@cache
def import_openvino() -> Any:
    """Import openvino without its telemetry and return the module; its `Core` is one for the whole process.

    `import openvino` reports to the vendor's analytics service if the package openvino_telemetry can be
    imported; otherwise openvino uses its own stub. None in sys.modules makes the import fail.

    A core sets a stack for signals, and frees it at its end. It then restores the stack that it found, which
    an earlier core may have freed already. The next signal would end the process, without any message. So
    the first core stays, and everything uses it, NNCF too.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    openvino.Core = cache(openvino.Core)
    openvino.compile_model = openvino.Core().compile_model
    return openvino


class _Step(NamedTuple):
    """The network compiled for batches of `size` images; `pixels` holds one that is not full."""

    size: int
    request: Any
    pixels: "NDArray[np.uint8]"


class OpenVINOClassifier:
    """A loaded model, compiled for batches of a few sizes. One instance serves one thread at a time."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """Load and compile the export for `threads` CPU threads.

        Raises ConfigFault if a file is missing or changed, or the model does not fit bundle.json.
        """
        path = safe_model(bundle)
        openvino = import_openvino()
        core = openvino.Core()
        model = core.read_model(path)
        _check(model, bundle)
        self._bundle, self._openvino = bundle, openvino
        self._explainer: GradCam | None = None
        self.batch = best_batch(bundle.input, bundle.precision)
        feature_map = openvino_feature_map.last_feature_map(model)
        self._familiarity = familiarity.load(bundle)
        _require_fitting(bundle, feature_map)
        if feature_map is not None:
            means = openvino_feature_map.means_of(openvino, feature_map)
            model.add_outputs([openvino_feature_map.projected(openvino, means).output(0)])
            if self._familiarity:
                known = openvino_strangeness.strangeness(openvino, means, self._familiarity)
                model.add_outputs([known.output(0)])
        self._settings = compile_settings(threads)
        self._features = model.output(1).get_partial_shape()[1].get_length() if feature_map is not None else 0
        self._labels = len(bundle.labels)
        sizes = [*(size for size in _FEWER if size < self.batch), self.batch]
        self._steps = [self._compiled(core, model, size) for size in reversed(sizes)]

    def _compiled(self, core: Any, model: Any, size: int) -> _Step:
        # With a fixed shape the plan is computed once.
        shape = (size, *self._bundle.input.shape)
        model.reshape(list(shape))
        request = core.compile_model(model, "CPU", self._settings).create_infer_request()
        return _Step(size, request, np.zeros(shape, np.uint8))

    def predict(self, pixels: "NDArray[np.uint8]") -> Scores:
        """Classify `pixels` uint8 [n, h, w, c], n >= 0."""
        probabilities = np.empty((len(pixels), self._labels), np.float32)
        features = np.empty((len(pixels), self._features), np.float32) if self._features else None
        strangeness = np.empty(len(pixels), np.float32) if self._familiarity else None
        start = 0
        while (left := len(pixels) - start) > 0:
            step = next(
                step for step in self._steps if step.size - left <= step.size * _MOST_EMPTY or step.size == 1
            )
            batch = pixels[start : start + step.size]
            if (count := len(batch)) < step.size:
                step.pixels[:count] = batch
                batch = step.pixels
            step.request.infer([batch], share_inputs=True)
            probabilities[start : start + count] = step.request.get_output_tensor(0).data[:count]
            if features is not None:
                features[start : start + count] = step.request.get_output_tensor(1).data[:count]
            if strangeness is not None:
                strangeness[start : start + count] = step.request.get_output_tensor(2).data[:count]
            start += count
        known = self._familiarity
        return Scores(
            probabilities, features, known.of(strangeness) if known and strangeness is not None else None
        )

    def explainer(self) -> Explainer | None:
        """Return the explainer; None for a network without a spatial feature map."""
        if not self._features:
            return None
        if self._explainer is None:
            # Loaded lazily: explanations are rare.
            model = self._openvino.Core().read_model(self._bundle.file(OPENVINO_MODEL))
            self._explainer = GradCam(self._openvino, model, self._settings)
        return self._explainer


class OpenVINORuntime:
    """Runs openvino/model.xml and model.bin. See interface.Runtime."""

    def has_export(self, bundle: Bundle) -> bool:
        """Whether the bundle lists an OpenVINO export."""
        return OPENVINO_MODEL in bundle.sha256

    def require_safe(self, bundle: Bundle) -> None:
        """Raise ConfigFault unless the export has only OpenVINO's own operations, which run no code."""
        safe_model(bundle)

    def require_proven(self, bundle: Bundle) -> None:
        """Raise ConfigFault unless the measured agreement with Keras is at least LEAST_AGREEMENT.

        For an export in int8, see int8_proof.
        """
        if bundle.precision is Precision.INT8:
            int8_proof.require(bundle)
            return
        advice = N_("Train the model again: `returns-pipeline train` measures the agreement.")
        agreement = bundle.metrics.get(_AGREEMENT_METRIC)
        if agreement is None:
            raise ConfigFault(
                "It is not recorded how often the OpenVINO export of {bundle_ref} agrees with Keras; "
                "{least_agreement:.1%} are needed.",
                advice,
                bundle_ref=bundle.ref,
                least_agreement=LEAST_AGREEMENT,
            )
        if not agreement >= LEAST_AGREEMENT:  # also for not-a-number
            raise ConfigFault(
                "The OpenVINO export of {bundle_ref} agrees with Keras on {agreement:.2%} of the images; "
                "{least_agreement:.1%} are needed.",
                advice,
                bundle_ref=bundle.ref,
                agreement=agreement,
                least_agreement=LEAST_AGREEMENT,
            )

    def load(self, bundle: Bundle, *, threads: int, mixed: bool) -> OpenVINOClassifier:  # noqa: ARG002 - no float16
        """Load the export, see OpenVINOClassifier."""
        return OpenVINOClassifier(bundle, threads=threads)


RUNTIME = OpenVINORuntime()


def best_batch(size: ImageInput, precision: Precision = Precision.FLOAT32) -> int:
    """Return the batch size with which a core processes images of this size fastest."""
    values = size.height * size.width * size.channels
    return max(1, min(_MAX_BATCH, _CACHED_VALUES[precision] // values))


def compile_settings(threads: int) -> dict[str, Any]:
    """Return how a network is compiled for a number of CPU threads, so that all CPUs predict the same."""
    return {
        "INFERENCE_PRECISION_HINT": "f32",  # CPUs with bfloat16 would use it and predict differently
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        # Only what the export says is rounded; by default, also what enters a layer with int8 weights.
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
        "ENABLE_CPU_PINNING": False,  # pinned processes all share one core: two run at half speed
    }


def safe_model(bundle: Bundle) -> Path:
    """Return the path of model.xml after checking it and the weights; see Bundle.file and require_plain."""
    weights, path = bundle.file(OPENVINO_WEIGHTS), bundle.file(OPENVINO_MODEL)
    openvino_xml.require_plain(path, weights.stat().st_size)
    return path


def _require_fitting(bundle: Bundle, feature_map: Any | None) -> None:
    """Raise ConfigFault if bundle.json gives another number of features than the network has."""
    if bundle.familiarity is None:
        return
    features = feature_map.get_partial_shape()[1].get_length() if feature_map is not None else 0
    if bundle.familiarity.features != features:
        raise ConfigFault(
            "The file with what the training photos of {bundle_ref} look like is for {stated} features; the "
            "network has {features}.",
            "Write it again: `returns-pipeline models familiarity`.",
            bundle_ref=bundle.ref,
            stated=bundle.familiarity.features,
            features=features,
        )


def _check(model: Any, bundle: Bundle) -> None:
    """Raise ConfigFault if input or output are not what bundle.json says; `-1` is an axis of any length."""
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
