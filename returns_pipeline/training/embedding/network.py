"""The features of a space: a frozen backbone and the colours."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from returns_pipeline.training.embedding.colours import COLOURS, colour_histogram
from returns_pipeline.training.networks import efficientnet_lite

if TYPE_CHECKING:
    from numpy.typing import NDArray

BACKBONE = "efficientnet-lite0"
SIDE = 224
#: Shapes and patterns in the middle of the network tell products apart that ImageNet does not name.
_MIDDLE = ("block13_expand_relu", "block10_expand_relu", "block6_expand_relu")


class Columns(NamedTuple):
    """The groups of the features: the last layer, three middle ones from the late to the early, the colours.

    `early` has the means of four overlapping quarters of the picture.
    """

    last: slice
    late: slice
    middle: slice
    early: slice
    colours: tuple[slice, ...]


def feature_network() -> tuple[Any, Columns]:
    """Return the network uint8 [n, 224, 224, 3] to float32 [n, features], and what the columns are."""
    backbone = efficientnet_lite.backbone(BACKBONE, SIDE)
    outputs = [backbone.output, *(backbone.get_layer(name).output for name in _MIDDLE)]
    inner = keras.Model(backbone.input, outputs)
    pixels = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="pixels")
    floats = ops.cast(pixels, "float32")
    *maps, early = inner(floats)
    pooled = [_root(ops.mean(each, axis=(1, 2))) for each in maps]
    half = early.shape[1] // 2
    quarters = layers.Flatten()(ops.average_pool(early, early.shape[1] - half, half))
    colours = colour_histogram(floats)
    parts = [*pooled, _root(quarters), colours]
    ends = np.cumsum([0, *(int(each.shape[-1]) for each in parts)]).tolist()
    last, late, middle, fine, histogram = (slice(start, end) for start, end in pairwise(ends))
    # The whole windows are groups of their own; the nine squares are one.
    marks = [histogram.start + COLOURS * number for number in range(4)]
    windows = [slice(start, end) for start, end in pairwise([*marks, histogram.stop])]
    columns = Columns(last, late, middle, fine, tuple(windows))
    return keras.Model(pixels, layers.Concatenate()(parts)), columns


def _root(values: Any) -> Any:
    # The square root lets a few strong activations not outweigh all others.
    return ops.sqrt(values + 1e-7)


def places(groups: Sequence[slice]) -> "NDArray[np.intp]":
    """Return the columns of these groups, in their order."""
    return np.concatenate([np.arange(group.start, group.stop) for group in groups])
