"""What a network looked at: Grad-CAM, without a framework that computes gradients."""

from typing import TYPE_CHECKING, Any

import numpy as np

from returns_pipeline.classify.runtimes import openvino_feature_map
from returns_pipeline.records.predictions import GradCamMap

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Values of one question to the second half of a network: 8 MB of float32.
_AT_ONCE = 2**21
#: How far a channel is raised, as a part of the largest activation: small enough that few units change sides,
#: large enough for float32. The maps of the shipped CNNs correlate with TensorFlow's by 0.99 or more.
_STEP = np.float32(1e-3)


class GradCam:
    """A network in two halves: up to its last convolution, and from there to its scores.

    The map of a label is ReLU(sum over channels k of a_k A^k), where A^k is what channel k shows and a_k the
    mean slope of the label's score in it. Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep
    Networks via Gradient-based Localization", ICCV 2017, equations 1 and 2. The sum of a channel's slopes is
    how fast the score rises when the whole channel is raised, so the second half is asked once for each
    channel. Scores are those before the softmax.
    """

    def __init__(self, openvino: Any, model: Any, settings: dict[str, Any]) -> None:
        """Compile both halves of a model as it was read; it is taken apart. Raises ValueError for none."""
        places = openvino_feature_map.last_feature_map(model)
        if places is None:
            raise ValueError("not all of the model goes through a convolution")
        core, followers = openvino.Core(), places.get_target_inputs()
        self._shape = tuple(axis.get_length() for axis in list(places.get_partial_shape())[1:])
        self._step = min(self._shape[0], max(1, _AT_ONCE // int(np.prod(self._shape))))
        scores = model.get_results()[0].input_value(0)
        self._ends_in_softmax = scores.get_node().get_type_name() == "Softmax"
        if self._ends_in_softmax:
            scores = scores.get_node().input_value(0)
        seen = openvino_feature_map.features(openvino, places).output(0)
        first = openvino.Model([places, seen], model.get_parameters(), "places")
        first.reshape([1, *list(model.input(0).get_partial_shape())[1:]])
        self._first = core.compile_model(first, "CPU", settings).create_infer_request()
        given = openvino.opset13.parameter([self._step, *self._shape], openvino.Type.f32)
        for target in followers:
            target.replace_source_output(given.output(0))
        second = openvino.Model([scores], [given], "scores")
        self._second = core.compile_model(second, "CPU", settings).create_infer_request()

    def map(self, pixels: "NDArray[np.uint8]", label: int) -> GradCamMap:
        """Return what the network looked at in `pixels` uint8 [h, w, c] for the index of a label."""
        self._first.infer([pixels[np.newaxis]])
        shown = np.array(self._first.get_output_tensor(0).data[0])
        heat = np.maximum(np.tensordot(self._slopes(shown, label), shown, axes=1), 0)
        largest = heat.max()
        features = np.array(self._first.get_output_tensor(1).data[0])
        return GradCamMap(heat / largest if largest > 0 else heat, features)

    def _slopes(self, shown: "NDArray[np.float32]", label: int) -> "NDArray[np.float32]":
        """Return float32 [channels]: how fast the label's score rises with each channel."""
        step = _STEP * max(np.abs(shown).max(), _STEP)
        channels = len(shown)
        slopes = np.empty(channels, np.float32)
        batch = np.empty((self._step, *self._shape), np.float32)
        batch[:] = shown
        base = self._score(batch, label)[0]
        for start in range(0, channels, self._step):
            some = np.arange(start, min(start + self._step, channels))
            batch[:] = shown
            batch[some - start, some] += step
            slopes[some] = self._score(batch, label)[: len(some)] - base
        slopes /= step
        return slopes

    def _score(self, batch: "NDArray[np.float32]", label: int) -> "NDArray[np.float32]":
        self._second.infer([batch])
        scores = np.array(self._second.get_output_tensor(0).data[:, label])
        # Without a softmax at its end, a network's probabilities are all there is.
        return scores if self._ends_in_softmax else np.log(np.maximum(scores, np.finfo(np.float32).tiny))
