"""The features of a space: frozen backbones and the colours."""

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

#: Width and height in pixels: two networks at this size cost as much as one at 224, and find more.
SIDE = 160
#: The networks whose features are used, and layers in the middle of each, from the late to the early. Shapes
#: and patterns there tell products apart that ImageNet does not name.
BACKBONES = {
    "efficientnet-lite0": ("block13_expand_relu", "block10_expand_relu", "block6_expand_relu"),
    "efficientnet-lite1": ("block18_expand_relu", "block14_expand_relu", "block6_expand_relu"),
}


class Columns(NamedTuple):
    """The groups of the features: `last` and `middle` layers of the backbones, `early` ones, the colours.

    `early` has the means of four overlapping quarters of the picture.
    """

    last: tuple[slice, ...]
    middle: tuple[slice, ...]
    early: tuple[slice, ...]
    colours: tuple[slice, ...]


def feature_network(backbones: Sequence[str]) -> tuple[Any, Columns]:
    """Return the network uint8 [n, SIDE, SIDE, 3] to float32 [n, features], and what the columns are.

    `backbones` are keys of BACKBONES. Raises ConfigFault if weights are not installed.
    """
    pixels = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="pixels")
    floats = ops.cast(pixels, "float32")
    last, middle, early = [], [], []
    for name in backbones:
        backbone = efficientnet_lite.backbone(name, SIDE)
        outputs = [backbone.output, *(backbone.get_layer(each).output for each in BACKBONES[name])]
        *late, fine = keras.Model(backbone.input, outputs)(floats)
        final, *between = (_root(ops.mean(each, axis=(1, 2))) for each in late)
        last.append(final)
        middle += between
        half = fine.shape[1] // 2
        early.append(_root(layers.Flatten()(ops.average_pool(fine, fine.shape[1] - half, half))))
    histogram = colour_histogram(floats)
    # The whole windows are groups of their own; the nine squares are one.
    colours = [histogram[:, :COLOURS], histogram[:, COLOURS : 2 * COLOURS]]
    colours += [histogram[:, 2 * COLOURS : 3 * COLOURS], histogram[:, 3 * COLOURS :]]
    groups = (last, middle, early, colours)
    parts = [each for group in groups for each in group]
    spans = iter(pairwise(np.cumsum([0, *(int(each.shape[-1]) for each in parts)]).tolist()))
    columns = Columns(*(tuple(slice(*next(spans)) for _ in group) for group in groups))
    return keras.Model(pixels, layers.Concatenate()(parts)), columns


def _root(values: Any) -> Any:
    # The square root lets a few strong activations not outweigh all others.
    return ops.sqrt(values + 1e-7)


def places(groups: Sequence[slice]) -> "NDArray[np.intp]":
    """Return the columns of these groups, in their order."""
    return np.concatenate([np.arange(group.start, group.stop) for group in groups])
