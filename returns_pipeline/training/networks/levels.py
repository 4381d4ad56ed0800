"""Features of several levels of a frozen backbone: its last map, and maps from its middle.

The last layers of a backbone describe what ImageNet names. Its middle tells apart what ImageNet does not
name, such as sleeves and collars. Where that is matters too: the thirds of a photo, from top to bottom, are
averaged as well (Lazebnik, Schmid, Ponce, "Beyond Bags of Features: Spatial Pyramid Matching for Recognizing
Natural Scene Categories", CVPR 2006).
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

#: Parts of the rows that are averaged.
_PARTS = 3


def pooled_levels(backbone: Any, pixels: Any) -> Any:
    """Return features float32 [n, f] of `pixels` float32 [n, h, w, c]: means of the levels' channels.

    With middle levels they are the means in the thirds of the rows, and their square roots, which keep a few
    strong activations from outweighing all others. Those activations are never negative; another backbone's
    may be.
    """
    levels = _levels(backbone)(pixels)
    if backbone.name not in _MIDDLE:
        return layers.GlobalAveragePooling2D()(levels)
    rows, columns = levels.shape[1:3]
    thirds = layers.AveragePooling2D((-(-rows // _PARTS), columns), padding="same")(levels)
    return ops.sqrt(layers.Flatten()(thirds) + 1e-7)


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
