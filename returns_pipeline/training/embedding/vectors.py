"""The end of a space's network, in OpenVINO's operations: from features to the parts of a vector."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from returns_pipeline.classify.runtimes.openvino_runtime import import_openvino

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Sharpness of the probabilities: scores are about 0 for a wrong value and 1 for the right one.
_SHARPNESS = 15.0
#: How much the look counts where the attributes of a picture are not certain.
_LOOK_WEIGHT = 0.7


class Known(NamedTuple):
    """A part that knows an attribute: weight * softmax(features @ matrix + offset), then @ axes.

    `values` are the k values of the attribute, `columns` the places of the features [c], `matrix` float32
    [c, k]. `axes` float32 [k, d] makes many values few numbers.
    """

    values: "NDArray[np.str_]"
    columns: "NDArray[np.intp]"
    matrix: "NDArray[np.float32]"
    offset: "NDArray[np.float32]"
    axes: "NDArray[np.float32] | None"
    weight: float


class Look(NamedTuple):
    """The part for the look in general: a direction, float32 matrix [c, d]."""

    columns: "NDArray[np.intp]"
    matrix: "NDArray[np.float32]"
    offset: "NDArray[np.float32]"


def vectors_of(features: Any, known: Sequence[Known], look: Look) -> Any:
    """Return the output float32 [n, dimensions] of vectors for the output float32 [n, f] of features.

    The probabilities of a picture whose attributes are certain have the length of the weights. The look fills
    what others lack: it decides among pictures that are uncertain, and their neighbours are certain ones.
    """
    ops = import_openvino().opset13
    mapped, doubts = [], []
    for part in known:
        sharp = ops.multiply(_mapped(features, part), np.float32(_SHARPNESS))
        chances = ops.softmax(sharp, 1)
        lacking = ops.subtract(np.float32(1), _squares(chances))
        doubts.append(ops.multiply(lacking, np.float32(part.weight**2)))
        short = chances if part.axes is None else ops.matmul(chances, part.axes, False, False)
        mapped.append(ops.multiply(short, np.float32(part.weight)))
    direction = _mapped(features, look)
    direction = ops.divide(direction, ops.sqrt(ops.add(_squares(direction), np.float32(1e-9))))
    if not known:
        return direction
    doubt = doubts[0]
    for another in doubts[1:]:
        doubt = ops.add(doubt, another)
    length = ops.multiply(ops.sqrt(ops.relu(doubt)), np.float32(_LOOK_WEIGHT))
    return ops.concat([*mapped, ops.multiply(direction, length)], 1)


def lengths(known: Sequence[Known], look: Look) -> list[int]:
    """Return the dimensions of each part of a vector, in their order: the attributes, then the look."""
    axes = [part.matrix if part.axes is None else part.axes for part in known]
    return [each.shape[1] for each in (*axes, look.matrix)]


def _mapped(features: Any, part: Known | Look) -> Any:
    """Return the linear map of a part's own columns of all features."""
    ops = import_openvino().opset13
    chosen = ops.gather(features, part.columns, np.int64(1))
    return ops.add(ops.matmul(chosen, part.matrix, False, False), part.offset[np.newaxis])


def _squares(values: Any) -> Any:
    ops = import_openvino().opset13
    return ops.reduce_sum(ops.multiply(values, values), np.int64(1), keep_dims=True)


def computed(features: "NDArray[np.float32]", known: Sequence[Known], look: Look) -> "NDArray[np.float32]":
    """Return vectors float32 [n, dimensions] of features float32 [n, f], n > 0."""
    openvino = import_openvino()
    taken = openvino.opset13.parameter([-1, features.shape[1]], np.float32)
    graph = openvino.Model([vectors_of(taken, known, look)], [taken])
    compiled = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled([features])[0])


def write(features: Any, known: Sequence[Known], look: Look, path: Path) -> int:
    """Write the network from pixels to vectors, its weights as float16; return the count of dimensions.

    `features` is the network uint8 [n, side, side, 3] to float32 [n, f].
    """
    openvino = import_openvino()
    path.parent.mkdir(parents=True, exist_ok=True)
    given = features.output(0).get_node().input_value(0)
    graph = openvino.Model([vectors_of(given, known, look)], features.get_parameters())
    openvino.save_model(graph, path, compress_to_fp16=True)
    return int(graph.output(0).get_partial_shape()[1].get_length())
