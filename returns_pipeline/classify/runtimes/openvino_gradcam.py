"""Grad-CAM with OpenVINO: where in an image a network finds its label, without computing gradients."""

from typing import TYPE_CHECKING, Any

import numpy as np

from returns_pipeline.classify.runtimes.openvino_feature_map import last_feature_map, means_of, projected
from returns_pipeline.records.predictions import GradCamMap

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Values in one batch for the second half of a network: 8 MB of float32.
_BATCH_VALUES = 2**21
#: How much a channel is raised, relative to the largest activation: small enough that few activations change
#: their sign, large enough for float32. The maps of the shipped CNNs correlate with TensorFlow's by 0.99 or
#: more.
_RELATIVE_STEP = np.float32(1e-3)


class GradCam:
    """A network in two halves: up to its last spatial feature map, and from there to its scores.

    The map of a label is ReLU(sum over channels k of a_k A^k), where A^k is channel k of the feature map and
    a_k the mean gradient of the label's score with respect to it. Source: Selvaraju et al., "Grad-CAM: Visual
    Explanations from Deep Networks via Gradient-based Localization", ICCV 2017, equations 1 and 2. The sum of
    a channel's gradients is how fast the score rises if the whole channel is raised, so the second half runs
    once for each channel (finite differences). Scores are those before the softmax.

    The second half does not round to int8, because a small step would vanish: a rounding counts as the
    identity. Source: the straight-through estimator of Bengio, Léonard, Courville, "Estimating or Propagating
    Gradients Through Stochastic Neurons for Conditional Computation", arXiv:1308.3432.
    """

    def __init__(self, openvino: Any, model: Any, settings: dict[str, Any]) -> None:
        """Compile both halves of a model, which is taken apart.

        Raises ValueError for a network without a spatial feature map.
        """
        feature_map = last_feature_map(model)
        if feature_map is None:
            raise ValueError("not every path of the model leads through a convolution")
        core, followers = openvino.Core(), feature_map.get_target_inputs()
        self._shape = tuple(axis.get_length() for axis in list(feature_map.get_partial_shape())[1:])
        self._batch = min(self._shape[0], max(1, _BATCH_VALUES // int(np.prod(self._shape))))
        scores = model.get_results()[0].input_value(0)
        self._ends_in_softmax = scores.get_node().get_type_name() == "Softmax"
        if self._ends_in_softmax:
            scores = scores.get_node().input_value(0)
        features = projected(openvino, means_of(openvino, feature_map)).output(0)
        first = openvino.Model([feature_map, features], model.get_parameters(), "feature_map")
        first.reshape([1, *list(model.input(0).get_partial_shape())[1:]])
        self._first = core.compile_model(first, "CPU", settings).create_infer_request()
        given = openvino.opset13.parameter([self._batch, *self._shape], openvino.Type.f32)
        for target in followers:
            target.replace_source_output(given.output(0))
        second = openvino.Model([scores], [given], "scores")
        _leave_out_rounding(second)
        self._second = core.compile_model(second, "CPU", settings).create_infer_request()

    def gradcam(self, pixels: "NDArray[np.uint8]", label: int) -> GradCamMap:
        """Return the Grad-CAM map of `pixels` uint8 [h, w, c] for the index of a label."""
        self._first.infer([pixels[np.newaxis]])
        activations = np.array(self._first.get_output_tensor(0).data[0])
        heat = np.maximum(np.tensordot(self._gradients(activations, label), activations, axes=1), 0)
        largest = heat.max()
        features = np.array(self._first.get_output_tensor(1).data[0])
        return GradCamMap(heat / largest if largest > 0 else heat, features)

    def _gradients(self, activations: "NDArray[np.float32]", label: int) -> "NDArray[np.float32]":
        """Return float32 [channels]: how fast the label's score rises with each channel."""
        step = _RELATIVE_STEP * max(np.abs(activations).max(), _RELATIVE_STEP)
        channels = len(activations)
        gradients = np.empty(channels, np.float32)
        batch = np.empty((self._batch, *self._shape), np.float32)
        batch[:] = activations
        base = self._score(batch, label)[0]
        for start in range(0, channels, self._batch):
            raised = np.arange(start, min(start + self._batch, channels))
            batch[:] = activations
            batch[raised - start, raised] += step
            gradients[raised] = self._score(batch, label)[: len(raised)] - base
        gradients /= step
        return gradients

    def _score(self, batch: "NDArray[np.float32]", label: int) -> "NDArray[np.float32]":
        self._second.infer([batch])
        scores = np.array(self._second.get_output_tensor(0).data[:, label])
        # A network without a final softmax outputs probabilities only: use their logarithm.
        return scores if self._ends_in_softmax else np.log(np.maximum(scores, np.finfo(np.float32).tiny))


def _leave_out_rounding(model: Any) -> None:
    """Let what reads the output of a FakeQuantize, which rounds activations to int8, read its input."""
    for operation in model.get_ordered_ops():
        if operation.get_type_name() == "FakeQuantize":
            for target in operation.output(0).get_target_inputs():
                target.replace_source_output(operation.input_value(0))
