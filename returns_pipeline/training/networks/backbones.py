"""The backbones for photos: the part of a network that turns pixels into features."""

from typing import Any

import keras
from keras import layers

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.networks import efficientnet_lite
from returns_pipeline.training.networks.keras_backbones import HUB, KERAS, hub_backbone, keras_backbone

#: Filters of the small backbone's convolutions.
_FILTERS = (32, 64, 128, 128)


def small_backbone(size: ImageInput) -> Any:
    """Return four convolutions of 3x3 with 32, 64, 128 and 128 filters, ReLU, each with max-pooling by 2.

    In: float32 [n, h, w, c] pixels 0..255, scaled to 0..1 inside. Out: float32 [n, h', w', 128].
    """
    pixels = keras.Input(size.shape, name="pixels")
    x = layers.Rescaling(1 / 255)(pixels)
    for number, filters in enumerate(_FILTERS):
        x = layers.Conv2D(filters, 3, activation="relu", name=f"conv{number}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{number}")(x)
    return keras.Model(pixels, x, name="small")


def pretrained(name: str, size: ImageInput, weights: str | None = None) -> Any:
    """Return a backbone by its name: efficientnet-lite0 to 2, keras:NAME, hub:PRESET, or `none`.

    `none` is a small untrained network. `weights` is a file, `random`, or None for the published ones.
    In: float32 [n, h, w, c] pixels 0..255. Out: float32 [n, h', w', filters]. Raises RefusedError for grey
    images and a pretrained backbone, ConfigFault for an unknown name and when weights are not available.
    """
    if name == "none":
        return small_backbone(size)
    if size.channels != 3:
        raise RefusedError(
            "The backbone {name} needs images in colour.", advice="Choose --backbone none.", name=name
        )
    if name == "resnet50":
        return keras_backbone("ResNet50", size, weights)
    if name.startswith(KERAS):
        return keras_backbone(name.removeprefix(KERAS), size, weights)
    if name.startswith(HUB):
        return hub_backbone(name.removeprefix(HUB), size, weights)
    return efficientnet_lite.backbone(name, size.height)
