"""Finds the last spatial feature map of a network: where its convolutions end, before global pooling."""

from typing import Any

from returns_pipeline.classify.embedding import DIMENSIONS, projection

#: Operations whose output is a tensor [n, channels, rows, columns].
_CONVOLUTIONS = frozenset({"Convolution", "GroupConvolution"})
#: Operations after a convolution that keep rows and columns. Pooling keeps them too, but at less resolution.
_ELEMENTWISE = frozenset(
    {"Add", "Clamp", "Concat", "Elu", "FakeQuantize", "Gelu", "HSwish", "Multiply", "Relu", "Swish"}
)
_POOLING = frozenset({"AvgPool", "MaxPool"})


def last_feature_map(model: Any) -> Any | None:
    """Return the last activation output [n, channels, rows, columns] that every path to the scores crosses.

    None for a network without one.
    """
    spatial: set[tuple[str, int]] = set()
    candidates = []
    for operation in model.get_ordered_ops():
        kind = operation.get_type_name()
        follows = any(_key(each.get_source_output()) in spatial for each in operation.inputs())
        if kind not in _CONVOLUTIONS and not (follows and kind in _ELEMENTWISE | _POOLING):
            continue
        output = operation.output(0)
        if _is_spatial(output):
            spatial.add(_key(output))
            if kind not in _POOLING:
                candidates.append(output)
    return next((output for output in reversed(candidates) if _is_on_every_path(model, output)), None)


def means_of(openvino: Any, feature_map: Any) -> Any:
    """Return the operation that averages a feature map over rows and columns: [n, channels]."""
    opset = openvino.opset13
    return opset.reduce_mean(feature_map, opset.constant([2, 3]), keep_dims=False)


def projected(openvino: Any, means: Any) -> Any:
    """Return the operation that projects the means of a feature map, [n, channels], to embeddings: [n, f].

    In the network, not in NumPy: the threads of NumPy's matrix product busy-wait on cores that other
    processes need. Measured with two processes on two cores: half as many images a second.
    """
    opset = openvino.opset13
    channels = means.output(0).get_partial_shape()[1].get_length()
    if channels <= DIMENSIONS:
        return means
    return opset.matmul(means, opset.constant(projection(channels)), transpose_a=False, transpose_b=False)


def _is_spatial(output: Any) -> bool:
    axes = list(output.get_partial_shape())
    if len(axes) != 4 or any(axis.is_dynamic for axis in axes[1:]):
        return False
    rows, columns = (axis.get_length() for axis in axes[2:])
    return bool(rows * columns > 1)


def _is_on_every_path(model: Any, wanted: Any) -> bool:
    """Whether every path from the input to the scores leads through an output."""
    seen = {_key(wanted)}
    pending = [model.get_results()[0].input_value(0)]
    while pending:
        output = pending.pop()
        if _key(output) in seen:
            continue
        seen.add(_key(output))
        if output.get_node().get_type_name() == "Parameter":
            return False
        pending += [each.get_source_output() for each in output.get_node().inputs()]
    return True


def _key(output: Any) -> tuple[str, int]:
    return output.get_node().get_name(), output.get_index()
