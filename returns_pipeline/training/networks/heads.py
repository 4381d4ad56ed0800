"""Complete networks for photos: a backbone with one or two heads, in a form to train and a form to serve.

Both forms share their weights. All layers are Keras' own, so a bundle loads in Keras' safe mode.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.networks.splitting import halves

#: Outputs of the form to train: SUB always, MAIN only with two heads.
SUB, MAIN = "sub", "main"


@dataclass(frozen=True, slots=True)
class Network:
    """Models that share their weights.

    `trained` takes uint8 [n, h, w, c] and returns float32 probabilities by the name of the output. `served`
    takes the same and returns float32 probabilities [n, labels]. If a large part is frozen, `frozen` is this
    part, from uint8 pixels to float32 features, and `late` the rest, with the outputs of `trained`.
    """

    trained: Any
    served: Any
    frozen: Any = None
    late: Any = None


def pooled(size: ImageInput, backbone: Any) -> Any:
    """Return a network from uint8 [n, h, w, c] to the means of the backbone's channels, float32 [n, f]."""
    pixels = keras.Input(size.shape, dtype="uint8", name="pixels")
    return keras.Model(pixels, layers.GlobalAveragePooling2D()(backbone(_as_float(pixels))))


def one_head(size: ImageInput, body: Any) -> Network:
    """Return a network with one output: `body` takes float32 pixels 0..255 and returns probabilities."""
    pixels = keras.Input(size.shape, dtype="uint8", name="pixels")
    probabilities = body(_as_float(pixels))
    trained, served = keras.Model(pixels, {SUB: probabilities}), keras.Model(pixels, probabilities)
    divided = halves(body)
    if divided is None:
        return Network(trained, served)
    late = keras.Model(divided.late.input, {SUB: divided.late.output})
    return Network(trained, served, _of_pixels(size, divided.early), late)


def two_heads(size: ImageInput, features: Any, labels: Labels) -> Network:
    """Return a network with a head for sub and one for main categories on `features` (float32 [n, f]).

    The served form is one distribution over the sub categories, softmax(sub logits + log p(main of the
    label)): the normalised product of both heads' probabilities. Its main category always agrees with its
    label.
    """
    mains = list(dict.fromkeys(labels.mains))
    belongs = np.array([[main == own for own in labels.mains] for main in mains], np.float32)
    spread = layers.Dense(len(labels.names), use_bias=False, trainable=False, name="main_of_label")

    pixels = keras.Input(size.shape, dtype="uint8", name="pixels")
    seen = features(_as_float(pixels))
    logits = {
        SUB: layers.Dense(len(labels.names), dtype="float32", name="sub_logits"),
        MAIN: layers.Dense(len(mains), dtype="float32", name="main_logits"),
    }
    softmax = {name: layers.Softmax(name=name) for name in logits}

    def outputs(found: Any) -> dict[str, Any]:
        return {name: softmax[name](layer(found)) for name, layer in logits.items()}

    trained = keras.Model(pixels, outputs(seen))
    sub_logits, main_logits = (logits[name](seen) for name in (SUB, MAIN))
    joint = layers.Add()([sub_logits, spread(layers.Activation("log_softmax")(main_logits))])
    spread.set_weights([belongs])
    served = keras.Model(pixels, layers.Softmax(name="probabilities")(joint))
    divided = halves(features)
    if divided is None:
        return Network(trained, served)
    late = keras.Model(divided.late.input, outputs(divided.late.output))
    return Network(trained, served, _of_pixels(size, divided.early), late)


def _of_pixels(size: ImageInput, early: Any) -> Any:
    pixels = keras.Input(size.shape, dtype="uint8", name="pixels")
    return keras.Model(pixels, early(_as_float(pixels)))


def _as_float(pixels: Any) -> Any:
    return layers.Rescaling(1.0, dtype="float32", name="as_float")(pixels)
