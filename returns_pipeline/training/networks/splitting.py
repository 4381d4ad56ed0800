"""Divides a network behind its frozen layers: what they compute of a photo never changes in a training."""

from typing import Any, NamedTuple

import keras

#: Frozen layers from which on it is worth it.
_LEAST_LAYERS = 10


class Halves(NamedTuple):
    """A body in two: `early` has the frozen layers, from pixels to features; `late` goes on from these."""

    early: Any
    late: Any


def halves(body: Any) -> Halves | None:
    """Divide a Sequential whose first layer is a functional backbone; None if hardly anything is frozen.

    All layers are shared with `body`. The features are one tensor, so the cut lies before a block that has a
    shortcut around its first trained layer.
    """
    backbone, *others = body.layers
    if not isinstance(backbone, keras.Model) or isinstance(backbone, keras.Sequential):
        return None
    layers = backbone.layers
    cut = _cut(layers)
    if cut < _LEAST_LAYERS:
        return None
    features = layers[cut].output
    taken = keras.Input(features.shape[1:])
    x = taken if cut == len(layers) - 1 else keras.Model(features, backbone.output)(taken)
    for layer in others:
        x = layer(x)
    return Halves(keras.Model(backbone.input, features), keras.Model(taken, x))


def _cut(layers: list[Any]) -> int:
    """Return the place of the last frozen layer behind which only its own output is used; -1 without one."""
    places = {id(layer): place for place, layer in enumerate(layers)}
    first_trained = next((at for at, layer in enumerate(layers) if layer.trainable_weights), len(layers))
    used = len(layers)
    found = -1
    # From the end: `used` is the earliest layer whose output a later layer takes.
    for place in reversed(range(len(layers))):
        if place < first_trained and used >= place:
            found = place
            break
        for tensor in _inputs(layers[place]):
            used = min(used, places.get(id(tensor._keras_history.operation), -1))  # noqa: SLF001 - Keras has no public name
    return found


def _inputs(layer: Any) -> list[Any]:
    return [] if isinstance(layer, keras.layers.InputLayer) else keras.tree.flatten(layer.input)
