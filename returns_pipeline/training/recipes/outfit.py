"""The recipe "outfit": two heads on one backbone, for main and sub categories of photos.

Published shape: both heads on the backbone's pooled features; random resized crop, mirror, rotation by 20
degrees, colour jitter, small affine changes; 15 epochs. Here the backbone's later blocks learn too.
"""

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.labelled.augmentation import Variation
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.networks.heads import Network, pretrained, two_heads
from returns_pipeline.training.recipes.fitting import Plan

BACKBONES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "resnet50", "none")
#: Part of all steps in which the learning rate rises: pretrained weights are not shaken by a random head.
_WARM_UP = 0.1


@dataclass(frozen=True, slots=True)
class Outfit:
    """`trained_from` is the first layer of the backbone that learns, by the beginning of its name."""

    backbone: str = "efficientnet-lite1"
    side: int = 240
    epochs: int = 15
    batch: int = 32
    learning_rate: float = 3e-4
    weight_decay: float = 0.02
    dropout: float = 0.3
    trained_from: str = "block5"

    name = "outfit"
    variation = Variation(crop=0.5, turn=20.0, shear=5.0, shift=0.03, jitter=0.2)
    two_heads = True

    @property
    def size(self) -> ImageInput:
        """What the network takes."""
        return ImageInput(self.side, self.side, 3)

    @property
    def plan(self) -> Plan:
        """How long to fit."""
        return Plan(self.epochs)

    def build(self, labels: Labels) -> Network:
        """Return the network for these labels.

        Raises RefusedError when the labels have no main categories, or the backbone cannot be had.
        """
        if labels.mains == labels.names:
            raise RefusedError(
                "The recipe outfit needs main categories, and these folders have none.",
                advice="Put the folders into MAIN/SUB/, or name each label's main category in a file for "
                "--mapping; for one head use `returns-pipeline train transfer`.",
            )
        backbone = pretrained(self.backbone, self.size)
        if self.backbone != "none":
            _thaw(backbone, self.trained_from)
        features = keras.Sequential(
            [backbone, layers.GlobalAveragePooling2D(), layers.Dropout(self.dropout)], name="features"
        )
        return two_heads(self.size, features, labels)

    def optimizer(self, steps: int) -> Any:
        """Return AdamW, its rate rising and then falling to nothing over so many steps."""
        warm_up = max(1, int(steps * _WARM_UP))
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, steps - warm_up), warmup_target=self.learning_rate, warmup_steps=warm_up
        )
        optimizer = keras.optimizers.AdamW(rate, weight_decay=self.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return optimizer


def _thaw(backbone: Any, first: str) -> None:
    """Let the layers from `first` on learn; statistics of batches stay, few photos would spoil them."""
    names = [layer.name for layer in backbone.layers]
    late = next((number for number, name in enumerate(names) if name.startswith(first)), None)
    if late is None:
        blocks = sorted({name.split("_")[0] for name in names if name.startswith("block")})
        raise RefusedError(
            "{backbone_name} has no layer {first!r}.",
            advice="Choose of {blocks}.",
            backbone_name=backbone.name,
            first=first,
            blocks=", ".join(blocks),
        )
    for number, layer in enumerate(backbone.layers):
        layer.trainable = number >= late and not isinstance(layer, layers.BatchNormalization)
