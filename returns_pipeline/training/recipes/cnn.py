"""The recipe "cnn": a small network from scratch, for a small data set of one's own.

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
from returns_pipeline.training.networks.heads import Network, one_head, small_backbone
from returns_pipeline.training.recipes.fitting import Plan

SIZE = ImageInput(224, 224, 3)


@dataclass(frozen=True, slots=True)
class Cnn:
    """`schedule`: constant, or cosine down to nothing; `dropout` before and after the dense layer."""

    size: ImageInput = SIZE
    epochs: int = 30
    batch: int = 32
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    dropout: float = 0.5
    patience: int = 10

    name = "cnn"
    variation = Variation(crop=0.3, turn=10.0, shift=0.03, jitter=0.2)
    two_heads = False

    @property
    def plan(self) -> Plan:
        """How long to fit."""
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
        """Return Adam with the schedule over so many steps."""
        rate: Any = self.learning_rate
        if self.schedule == "cosine":
            rate = keras.optimizers.schedules.CosineDecay(rate, steps)
        return keras.optimizers.Adam(rate)
