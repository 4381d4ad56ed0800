"""Features of several levels of a frozen backbone: its last map, and maps from its middle.

The last layers of a backbone describe what ImageNet names. Its middle tells apart what ImageNet does not
name, such as sleeves and collars.
"""

from typing import Any

import keras
from keras import layers, ops

#: Activations whose channels are averaged, beside the last map. Other backbones give their last map alone.
_MIDDLE = {
    "efficientnet-lite0": ("block15_expand_relu", "block12_expand_relu", "block8_expand_relu"),
    "efficientnet-lite1": ("block20_expand_relu", "block16_expand_relu", "block11_expand_relu"),
    "efficientnet-lite2": ("block20_expand_relu", "block16_expand_relu", "block11_expand_relu"),
}


def pooled_levels(backbone: Any, pixels: Any) -> Any:
    """Return features float32 [n, f] of `pixels` float32 [n, h, w, c]: the means of the levels' channels.

    With middle levels they are the square roots of the means, which keep a few strong activations from
    outweighing all others. Those activations are never negative; another backbone's may be.
    """
    means = layers.GlobalAveragePooling2D()(_levels(backbone)(pixels))
    return ops.sqrt(means + 1e-7) if backbone.name in _MIDDLE else means


def _levels(backbone: Any) -> Any:
    """Return a network from pixels to the levels of a backbone as one map: float32 [n, h', w', c].

    One map holds all of them, so that the maps of what a model sees show all of them.
    """
    maps = [backbone.output]
    rows = maps[0].shape[1]
    for name in _MIDDLE.get(backbone.name, ()):
        middle = backbone.get_layer(name).output
        window = -(-middle.shape[1] // rows)
        maps.append(layers.AveragePooling2D(window, padding="same")(middle) if window > 1 else middle)
    if len(maps) == 1:
        return backbone
    return keras.Model(backbone.input, layers.Concatenate()(maps), name="levels")
