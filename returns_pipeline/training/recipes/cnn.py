"""The recipe "cnn": a small network trained from scratch, for photos unlike those of pretrained backbones.

Published shape: convolutions of 3x3 with 32, 64, 128 and 128 filters, each with max-pooling by 2, flatten,
dense 512, softmax; 224x224 colours; Adam.
"""

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.labelled.augmentation import Variation
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.networks.backbones import small_backbone
from returns_pipeline.training.networks.heads import Network, one_head
from returns_pipeline.training.pipeline.fitting import Plan

SIZE = ImageInput(224, 224, 3)


@dataclass(frozen=True, slots=True)
class Cnn:
    """The options. `schedule`: constant, or cosine down to 0; `dropout` before and after the dense layer."""

    size: ImageInput = SIZE
    epochs: int = 30
    batch: int = 32
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    dropout: float = 0.5
    patience: int = 10

    name = "cnn"
    variation = Variation(crop=0.3, turn=10.0, shift=0.03, jitter=0.2)

    @property
    def plan(self) -> Plan:
        """Fit until the validation loss no longer improves; keep the best epoch."""
        return Plan(self.epochs, self.patience)

    def build(self, labels: Labels) -> Network:
        """Return the network for these labels."""
        body = keras.Sequential(
            [
                small_backbone(self.size),
                layers.Flatten(),
                layers.Dropout(self.dropout),
                layers.Dense(512, activation="relu"),
                layers.Dropout(self.dropout),
                layers.Dense(len(labels.names), activation="softmax", dtype="float32"),
            ],
            name="sub",
        )
        return one_head(self.size, body)

    def optimizer(self, steps: int) -> Any:
        """Return Adam with its schedule over `steps` steps."""
        rate: Any = self.learning_rate
        if self.schedule == "cosine":
            rate = keras.optimizers.schedules.CosineDecay(rate, steps)
        return keras.optimizers.Adam(rate)
