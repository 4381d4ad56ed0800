"""The network of a space: a frozen backbone and the colours, then linear maps to the parts of a vector."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from returns_pipeline.training.embedding.colours import COLOURS, colour_histogram
from returns_pipeline.training.networks import efficientnet_lite
from returns_pipeline.training.pipeline.export import halve_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

BACKBONE = "efficientnet-lite0"
SIDE = 224
#: Shapes and patterns in the middle of the network tell products apart that ImageNet does not name.
_MIDDLE = ("block13_expand_relu", "block10_expand_relu", "block6_expand_relu")
#: Sharpness of the probabilities: scores are about 0 for a wrong value and 1 for the right one.
_SHARPNESS = 15.0
#: How much the look counts where the attributes of a picture are not certain.
_LOOK_WEIGHT = 0.7


class Known(NamedTuple):
    """A part that knows an attribute: weight * softmax(features @ matrix + offset), then @ axes.

    `columns` are the places of the features [c], `matrix` float32 [c, k]. `axes` float32 [k, d] makes many
    values few numbers.
    """

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


def vectors_of(features: Any, known: Sequence[Known], look: Look) -> Any:
    """Return vectors float32 [n, dimensions] of the symbolic features float32 [n, f].

    The probabilities of a picture whose attributes are certain have the length of the weights. The look fills
    what others lack: it decides among pictures that are uncertain, and their neighbours are certain ones.
    """
    mapped, doubts = [], []
    for part in known:
        chances = ops.softmax(_SHARPNESS * _dense(features, part), axis=-1)
        doubts.append(part.weight**2 * (1 - ops.sum(chances**2, axis=-1, keepdims=True)))
        mapped.append(part.weight * (chances if part.axes is None else ops.matmul(chances, part.axes)))
    direction = _dense(features, look)
    direction = direction / ops.sqrt(ops.sum(direction**2, axis=-1, keepdims=True) + 1e-9)
    if not known:
        return direction
    doubt = _LOOK_WEIGHT * ops.sqrt(ops.relu(sum(doubts)) + 1e-9)
    return layers.Concatenate()([*mapped, doubt * direction])


def _dense(features: Any, part: Known | Look) -> Any:
    """Return the linear map of a part of all features; other columns than its own count nothing."""
    chosen = [features[:, start:end] for start, end in _spans(part.columns)]
    dense = layers.Dense(part.matrix.shape[1])
    value = dense(layers.Concatenate()(chosen) if len(chosen) > 1 else chosen[0])
    dense.set_weights([part.matrix, part.offset])
    return value


def _spans(columns: "NDArray[np.intp]") -> list[tuple[int, int]]:
    runs = np.split(columns, np.flatnonzero(np.diff(columns) != 1) + 1)
    return [(int(run[0]), int(run[-1]) + 1) for run in runs]


def places(groups: Sequence[slice]) -> "NDArray[np.intp]":
    """Return the columns of these groups, in their order."""
    return np.concatenate([np.arange(group.start, group.stop) for group in groups])


def export(model: Any, path: Path) -> None:
    """Write the OpenVINO export, its weights as float16."""
    path.parent.mkdir(parents=True, exist_ok=True)
    model.export(str(path), format="openvino", verbose=False)
    halve_weights(path)
