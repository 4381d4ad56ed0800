"""The network of a space: a frozen backbone and the colours, then linear maps to the parts of a vector."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from returns_pipeline.training.embedding.colours import colour_histogram
from returns_pipeline.training.networks import efficientnet_lite
from returns_pipeline.training.pipeline.export import halve_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

BACKBONE = "efficientnet-lite0"
SIDE = 224
#: Shapes and patterns in the middle of the network tell kinds of products apart that ImageNet does not name.
_MIDDLE = "block10_expand_relu"


class Part(NamedTuple):
    """One part of a vector: unit(features[columns] @ matrix + offset) * weight.

    `matrix` float32 [columns, dimensions].
    """

    columns: slice
    matrix: "NDArray[np.float32]"
    offset: "NDArray[np.float32]"
    weight: float


class Columns(NamedTuple):
    """The columns of the features: the last layer, a middle one, and the colours."""

    last: slice
    middle: slice
    colours: slice


def feature_network() -> tuple[Any, Columns]:
    """Return the network uint8 [n, 224, 224, 3] to float32 [n, features], and what the columns are."""
    backbone = efficientnet_lite.backbone(BACKBONE, SIDE)
    outputs = [backbone.output, backbone.get_layer(_MIDDLE).output]
    inner = keras.Model(backbone.input, outputs)
    pixels = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="pixels")
    floats = ops.cast(pixels, "float32")
    last, middle = (_pooled(each) for each in inner(floats))
    colours = colour_histogram(floats)
    ends = np.cumsum([0, *(int(each.shape[-1]) for each in (last, middle, colours))]).tolist()
    columns = Columns(*(slice(start, end) for start, end in pairwise(ends)))
    return keras.Model(pixels, layers.Concatenate()([last, middle, colours])), columns


def _pooled(maps: Any) -> Any:
    # The square root lets a few strong activations not outweigh all others.
    return ops.sqrt(ops.mean(maps, axis=(1, 2)) + 1e-7)


def with_parts(features: Any, parts: Sequence[Part]) -> Any:
    """Return the network to the vector: float32 [n, dimensions]."""
    mapped = []
    for part in parts:
        dense = layers.Dense(part.matrix.shape[1])
        value = dense(features.output[:, part.columns])
        dense.set_weights([part.matrix, part.offset])
        length = ops.sqrt(ops.sum(value**2, axis=-1, keepdims=True) + 1e-9)
        mapped.append(value / length * part.weight)
    return keras.Model(features.input, layers.Concatenate()(mapped) if len(mapped) > 1 else mapped[0])


def vectors_of(features: "NDArray[np.float32]", parts: Sequence[Part]) -> "NDArray[np.float32]":
    """Return what `with_parts` computes, for features float32 [n, f]: float32 [n, dimensions]."""
    mapped = []
    for part in parts:
        value = features[:, part.columns] @ part.matrix + part.offset
        mapped.append(value / np.sqrt((value**2).sum(axis=1, keepdims=True) + 1e-9) * part.weight)
    return np.hstack(mapped)


def export(model: Any, path: Path) -> None:
    """Write the OpenVINO export, its weights as float16."""
    path.parent.mkdir(parents=True, exist_ok=True)
    model.export(str(path), format="openvino", verbose=False)
    halve_weights(path)
