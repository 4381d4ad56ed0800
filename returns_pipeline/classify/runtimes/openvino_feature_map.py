"""Where a network last knew places: the end of its convolutions, before everything becomes one row."""

from typing import Any

from returns_pipeline.classify.embedding import DIMENSIONS, signs

#: Operations that make a tensor [n, channels, rows, columns].
_CONVOLUTIONS = frozenset({"Convolution", "GroupConvolution"})
#: What may follow a convolution in the same layout; a pooling is a step away from places.
_IN_PLACE = frozenset({"Add", "Clamp", "Concat", "Elu", "Gelu", "HSwish", "Multiply", "Relu", "Swish"})
_POOLING = frozenset({"AvgPool", "MaxPool"})


def last_feature_map(model: Any) -> Any | None:
    """Return the output of the last activation that has rows and columns, and that all of the answer needs.

    Its shape is [n, channels, rows, columns]. None for a network without such a one.
    """
    spatial: dict[tuple[str, int], Any] = {}
    found = []
    for operation in model.get_ordered_ops():
        kind = operation.get_type_name()
        follows = any(_key(each.get_source_output()) in spatial for each in operation.inputs())
        if kind not in _CONVOLUTIONS and not (follows and kind in _IN_PLACE | _POOLING):
            continue
        output = operation.output(0)
        if _has_places(output):
            spatial[_key(output)] = output
            if kind not in _POOLING:
                found.append(output)
    return next((output for output in reversed(found) if _is_needed(model, output)), None)


def features(openvino: Any, places: Any) -> Any:
    """Return the operation that averages `places` over rows and columns and projects what is left: [n, f].

    In the network, not in NumPy: the threads of its matrix product would wait in a busy loop on the cores
    that other processes need. Measured with two processes on two cores: half as many images a second.
    """
    opset = openvino.opset13
    means = opset.reduce_mean(places, opset.constant([2, 3]), keep_dims=False)
    channels = places.get_partial_shape()[1].get_length()
    if channels <= DIMENSIONS:
        return means
    return opset.matmul(means, opset.constant(signs(channels)), transpose_a=False, transpose_b=False)


def _has_places(output: Any) -> bool:
    axes = list(output.get_partial_shape())
    if len(axes) != 4 or any(axis.is_dynamic for axis in axes[1:]):
        return False
    rows, columns = (axis.get_length() for axis in axes[2:])
    return bool(rows * columns > 1)


def _is_needed(model: Any, wanted: Any) -> bool:
    """Whether every way from the input to the answer leads through an output."""
    seen = {_key(wanted)}
    ahead = [model.get_results()[0].input_value(0)]
    while ahead:
        output = ahead.pop()
        if _key(output) in seen:
            continue
        seen.add(_key(output))
        if output.get_node().get_type_name() == "Parameter":
            return False
        ahead += [each.get_source_output() for each in output.get_node().inputs()]
    return True


def _key(output: Any) -> tuple[str, int]:
    return output.get_node().get_name(), output.get_index()
