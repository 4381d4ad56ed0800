"""Where a network last knew places: the end of its convolutions, before everything becomes one row."""

from typing import Any

#: Operations that make a tensor [n, channels, rows, columns].
_CONVOLUTIONS = frozenset({"Convolution", "GroupConvolution"})
#: What may follow a convolution in the same layout; a pooling is a step away from places.
_IN_PLACE = frozenset({"Add", "Clamp", "Concat", "Elu", "Gelu", "HSwish", "Multiply", "Relu", "Swish"})
_POOLING = frozenset({"AvgPool", "MaxPool"})


def last_places(model: Any) -> Any | None:
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
