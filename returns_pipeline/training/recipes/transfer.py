"""The recipe "transfer": trains a new head and the last layers of a pretrained backbone.

Published shape: all but the last 10 layers of the backbone frozen, average pooling 4x4, flatten, dense 256
ReLU, dropout 0.3, dense 128 ReLU, dropout 0.2, softmax; 256x256 colours; RMSprop; 20 % of the photos for
validation; batches of 40; 25 epochs, fewer when the validation loss has not improved for 20; the best epoch
is kept.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
from keras import layers

from returns_pipeline.classify.bundle import KERAS_MODEL, find_bundle
from returns_pipeline.classify.runtimes import keras_archive, keras_weights
from returns_pipeline.errors import RefusedError
from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.labelled.augmentation import Variation
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.networks.backbones import pretrained
from returns_pipeline.training.networks.heads import Network, one_head, pooled
from returns_pipeline.training.pipeline.fitting import Plan

BACKBONES = ("resnet50", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "none")
#: Prefix for the backbone of an existing model: bundle:NAME or bundle:NAME/VERSION.
BUNDLE = "bundle:"
SIZE = ImageInput(256, 256, 3)
_IMAGE_RANK = 4


@dataclass(frozen=True, slots=True)
class Transfer:
    """The options. `backbone` is one of BACKBONES, or BUNDLE and a model in `models_dir` of this `size`.

    It may also be another name of `pretrained`, which takes `weights`.
    """

    backbone: str = "efficientnet-lite0"
    models_dir: Path = field(default_factory=Path)
    size: ImageInput = SIZE
    epochs: int = 25
    batch: int = 40
    learning_rate: float = 1e-4
    trained_layers: int = 10
    patience: int = 20
    weights: str | None = None

    name = "transfer"
    variation = Variation(crop=0.3, turn=10.0, shift=0.03)

    @property
    def plan(self) -> Plan:
        """Fit until the validation loss no longer improves; keep the best epoch."""
        return Plan(self.epochs, self.patience)

    def build(self, labels: Labels) -> Network:
        """Return the network. Raises RefusedError or ConfigFault when the backbone is not available."""
        backbone = self._backbone()
        if self.backbone != "none":
            freeze(backbone, self.trained_layers)
        side = min(4, *backbone.output_shape[1:3])
        body = keras.Sequential(
            [
                backbone,
                layers.AveragePooling2D(side),
                layers.Flatten(),
                layers.Dense(256, activation="relu"),
                layers.Dropout(0.3),
                layers.Dense(128, activation="relu"),
                layers.Dropout(0.2),
                layers.Dense(len(labels.names), activation="softmax", dtype="float32"),
            ],
            name="sub",
        )
        return one_head(self.size, body)

    def features(self) -> Any:
        """Return the backbone alone, uint8 [n, h, w, c] to float32 [n, f]. Raises as `build`."""
        return pooled(self.size, self._backbone())

    def optimizer(self, steps: int) -> Any:  # noqa: ARG002 - the rate is constant
        """Return RMSprop."""
        return keras.optimizers.RMSprop(self.learning_rate)

    def _backbone(self) -> Any:
        if self.backbone.startswith(BUNDLE):
            return bundle_backbone(self.models_dir, self.backbone.removeprefix(BUNDLE))
        return pretrained(self.backbone, self.size, self.weights)


def freeze(backbone: Any, trained_layers: int) -> None:
    """Train only the last layers. Batch statistics stay frozen: few photos would make them worse."""
    flat = _flatten(backbone)
    for number, layer in enumerate(flat):
        is_late = number >= len(flat) - trained_layers
        layer.trainable = is_late and layer.trainable and not isinstance(layer, layers.BatchNormalization)


def _flatten(model: Any) -> list[Any]:
    """Return the layers of a model and of the models inside it."""
    found: list[Any] = []
    for layer in model.layers:
        found += _flatten(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def bundle_backbone(models_dir: Path, model: str) -> Any:
    """Return the convolutional part of a bundle's network: the backbone that it was trained with.

    In: pixels 0..255 [n, h, w, c] of the bundle's size. Out: float32 [n, h', w', filters]. Raises
    ConfigFault when there is no such bundle, RefusedError when it has no feature map.
    """
    bundle = find_bundle(models_dir, model)
    path = bundle.file(KERAS_MODEL)
    keras_archive.require_safe(path)
    keras_weights.require_plain(path)
    network = keras.saving.load_model(path, safe_mode=True, compile=False)
    found = _with_feature_map(network)
    if found is None:
        raise RefusedError(
            "The model {bundle_ref} has no convolutions that can be reused.",
            advice="Choose another --backbone.",
            bundle_ref=bundle.ref,
        )
    return found


def _with_feature_map(network: Any) -> Any:
    if len(network.output_shape) == _IMAGE_RANK:
        return network
    for layer in reversed(network.layers):
        if isinstance(layer, keras.Model) and (inner := _with_feature_map(layer)) is not None:
            return inner
    # A layer without weights, for example the scaling of pixels, is no backbone.
    last = [layer for layer in network.layers if len(layer.output.shape) == _IMAGE_RANK]
    if not any(layer.weights for layer in last):
        return None
    return keras.Model(network.inputs, last[-1].output, name="backbone")
