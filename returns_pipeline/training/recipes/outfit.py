"""The recipe "outfit": two heads on one backbone, for main and sub categories.

Published shape: both heads on the backbone's pooled features; random resized crop, mirror, rotation by 20
degrees, colour jitter, small affine changes; 15 epochs. Here the later blocks of the backbone are trained
too.
"""

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.labelled.augmentation import Variation
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.networks.backbones import pretrained
from returns_pipeline.training.networks.heads import SUB, Network, one_head, pooled, two_heads
from returns_pipeline.training.pipeline.fitting import Plan

BACKBONES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "resnet50", "none")
#: Share of all steps in which the learning rate rises, so that the random head does not spoil pretrained
#: weights.
_WARM_UP = 0.1
_FIRST_TRAINED = "block5"
_IMAGE_RANK = 4


@dataclass(frozen=True, slots=True)
class Outfit:
    """The options. `trained_from` is the beginning of the name of the first trained layer of the backbone.

    A backbone of Keras that has no layer of the default name is trained from its last two sizes of maps on.
    `weights` are those of `pretrained`. `smoothing` and `mixing` are those of `Plan`. With
    `averaging`, the average of the weights is kept, of which this share stays in each step; 0 keeps the best
    epoch.
    """

    backbone: str = "efficientnet-lite1"
    side: int = 240
    epochs: int = 15
    batch: int = 32
    learning_rate: float = 3e-4
    weight_decay: float = 0.02
    dropout: float = 0.3
    trained_from: str = _FIRST_TRAINED
    weights: str | None = None
    smoothing: float = 0.0
    mixing: float = 0.0
    averaging: float = 0.0

    name = "outfit"
    variation = Variation(crop=0.5, turn=20.0, shear=5.0, shift=0.03, jitter=0.2)

    @property
    def size(self) -> ImageInput:
        """The size of the images, in colour."""
        return ImageInput(self.side, self.side, 3)

    @property
    def plan(self) -> Plan:
        """Fit all epochs; keep the best one, or the average at the end."""
        return Plan(self.epochs, keep_last=bool(self.averaging), smoothing=self.smoothing, mixing=self.mixing)

    def build(self, labels: Labels) -> Network:
        """Return the network for these labels.

        Without main categories, each label is its own, and there is one head. Raises ConfigFault when the
        backbone is not available.
        """
        backbone = pretrained(self.backbone, self.size, self.weights)
        if self.backbone != "none":
            _freeze_before(backbone, self.trained_from)
        pooled = [backbone, layers.GlobalAveragePooling2D(), layers.Dropout(self.dropout)]
        if labels.distinct_mains is None:
            head = layers.Dense(len(labels.names), activation="softmax", dtype="float32")
            return one_head(self.size, keras.Sequential([*pooled, head], name=SUB))
        features = keras.Sequential(pooled, name="features")
        return two_heads(self.size, features, labels)

    def features(self) -> Any:
        """Return the backbone alone, uint8 [n, side, side, 3] to float32 [n, f]. Raises as `build`."""
        return pooled(self.size, pretrained(self.backbone, self.size, self.weights))

    def optimizer(self, steps: int) -> Any:
        """Return AdamW; its rate rises, then falls to 0 over `steps` steps."""
        warm_up = max(1, int(steps * _WARM_UP))
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, steps - warm_up), warmup_target=self.learning_rate, warmup_steps=warm_up
        )
        average = {"use_ema": True, "ema_momentum": self.averaging} if self.averaging else {}
        optimizer = keras.optimizers.AdamW(rate, weight_decay=self.weight_decay, **average)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return optimizer


def _freeze_before(backbone: Any, first: str) -> None:
    """Train only `first` and later layers. Batch statistics stay frozen: few photos would make them worse."""
    names = [layer.name for layer in backbone.layers]
    first_trained = next((number for number, name in enumerate(names) if name.startswith(first)), None)
    if (
        first_trained is None
        and first == _FIRST_TRAINED
        and not backbone.name.startswith("efficientnet-lite")
    ):
        first_trained = _start_of_last_sizes(backbone)
    if first_trained is None:
        blocks = sorted({name.split("_")[0] for name in names if name.startswith("block")})
        raise RefusedError(
            "{backbone_name} has no layer {first!r}.",
            advice="Choose one of {blocks}.",
            backbone_name=backbone.name,
            first=first,
            blocks=", ".join(blocks),
        )
    for number, layer in enumerate(backbone.layers):
        layer.trainable = number >= first_trained and not isinstance(layer, layers.BatchNormalization)


def _start_of_last_sizes(backbone: Any) -> int:
    """Return the number of the first layer whose map has at most twice as many rows as the last map."""
    most = 2 * backbone.output.shape[1]
    rows = [
        layer.output.shape[1] if len(layer.output.shape) == _IMAGE_RANK else 0 for layer in backbone.layers
    ]
    return max((number for number, each in enumerate(rows) if each > most), default=-1) + 1
