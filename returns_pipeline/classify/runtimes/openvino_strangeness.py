"""The strangeness of photos as operations of an OpenVINO network; classify.familiarity has the formula."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from returns_pipeline.classify.familiarity import Familiarity


def strangeness(openvino: Any, means: Any, known: "Familiarity") -> Any:
    """Return the operation that gives the strangeness [n] of features, the operation `means` [n, f].

    In the network and not in NumPy: see openvino_feature_map.projected.
    """
    opset = openvino.opset13
    off = opset.subtract(means, _constant(opset, known.center[None]))
    along = _product(opset, off, known.axes)
    whitened = _product(opset, along, known.whitening)
    # |y - m|^2 = |y|^2 - 2 y m + |m|^2: one product for all classes.
    norms = np.square(known.means).sum(axis=1)[None]
    to_classes = opset.add(_product(opset, whitened, -2 * known.means.T), _constant(opset, norms))
    nearest = opset.reduce_min(to_classes, _constant(opset, [1], np.int64), keep_dims=False)
    scaled = opset.multiply(along, _constant(opset, 1 / known.deviations[None]))
    within = opset.add(nearest, opset.subtract(_squares(opset, whitened), _squares(opset, scaled)))
    beside = opset.relu(opset.subtract(_squares(opset, off), _squares(opset, along)))
    return opset.add(within, opset.multiply(beside, _constant(opset, 1 / known.remainder)))


def _squares(opset: Any, rows: Any) -> Any:
    """Return the operation that sums the squares of each row: [n]."""
    return opset.reduce_sum(opset.multiply(rows, rows), _constant(opset, [1], np.int64), keep_dims=False)


def _product(opset: Any, rows: Any, matrix: "NDArray[np.float32]") -> Any:
    return opset.matmul(rows, _constant(opset, matrix), transpose_a=False, transpose_b=False)


def _constant(opset: Any, values: Any, kind: Any = np.float32) -> Any:
    return opset.constant(np.ascontiguousarray(values, kind))
