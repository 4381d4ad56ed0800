"""The network shapes that recipes train. Preprocessing is their first layer, so that serving cannot drift."""

from typing import Any

import keras
from keras import layers


def small_cnn(labels: int) -> Any:
    """Return the three-block CNN for 28 x 28 grey images: 241,546 parameters with 10 labels.

    In: uint8 [n, 28, 28, 1], scaled to 0..1 inside. Out: float32 probabilities [n, labels].
    """
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), dtype="uint8", name="pixels"),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(128, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(labels, activation="softmax", name="probabilities"),
        ],
        name="small_cnn",
    )
