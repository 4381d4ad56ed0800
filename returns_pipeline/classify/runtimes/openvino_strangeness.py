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
    # With z `along` and y = z whitening, |y - m|^2 = z W W' z' - 2 z W m' + |m|^2. All squares of z are one
    # form, because each operation costs about as much as the product itself.
    whitening, means_of_classes = known.whitening.astype(np.float64), known.means.astype(np.float64)
    form = whitening @ whitening.T - np.diag(known.deviations.astype(np.float64) ** -2)
    form -= np.eye(len(form)) / known.remainder
    squares = _sum(opset, opset.multiply(_product(opset, along, form), along))
    norms = np.square(means_of_classes).sum(axis=1)[None]
    to_classes = _product(opset, along, -2 * whitening @ means_of_classes.T)
    nearest = opset.reduce_min(
        opset.add(to_classes, _constant(opset, norms)), _constant(opset, [1], np.int64), keep_dims=False
    )
    beside = opset.multiply(_sum(opset, opset.multiply(off, off)), _constant(opset, 1 / known.remainder))
    return opset.add(opset.add(nearest, squares), beside)


def _sum(opset: Any, rows: Any) -> Any:
    """Return the operation that sums each row: [n]."""
    return opset.reduce_sum(rows, _constant(opset, [1], np.int64), keep_dims=False)


def _product(opset: Any, rows: Any, matrix: "NDArray[np.floating]") -> Any:
    return opset.matmul(rows, _constant(opset, matrix), transpose_a=False, transpose_b=False)


def _constant(opset: Any, values: Any, kind: Any = np.float32) -> Any:
    return opset.constant(np.ascontiguousarray(values, kind))
