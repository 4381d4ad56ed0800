"""Trains the last layers of a network on features of its frozen part, which are computed only once.

Each photo is varied a few times, and the epochs use these variations in turn. OpenVINO computes the frozen
part of each, and later trainings with the same photos, seed and frozen layers find it in the cache.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from returns_pipeline.training.features.compute import features_of, open_cache
from returns_pipeline.training.features.network import FrozenNetwork
from returns_pipeline.training.pipeline.fitting import Batches, Vary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from returns_pipeline.training.pipeline.recipe import Listener

#: Variations of each photo. With fewer, the validation loss rises earlier.
VARIATIONS = 5
#: Most bytes of all features; more are not kept.
_MOST_BYTES = 4 * 1024**3
#: Photos whose features are in memory at once.
_TOGETHER = 2048
#: The generator of variations is not that of a training's batches.
_STREAM = 0x5EED


class FeatureBatches(Batches):
    """Batches of features of the frozen part, and their targets; see `Batches`.

    `features` [k, n, …] of k variations of n photos may be memory-mapped.
    """

    def __init__(
        self,
        features: "NDArray[Any]",
        targets: "Mapping[str, NDArray[Any]]",
        batch: int,
        seed: int | None = None,
        epochs: range = range(1),
        mixing: float = 0.0,
    ) -> None:
        """Start with the first of `epochs`; `batch` photos in each batch, mixed as `Plan` says."""
        super().__init__(features[0], targets, batch, seed, epochs=epochs, mixing=mixing)
        self._features = features

    def __getitem__(self, number: int) -> "tuple[NDArray[Any], dict[str, NDArray[Any]]]":
        """Return batch `number`: float32 [batch, …] and the targets of each output."""
        epoch, rows = self.rows(number)
        # In each epoch, photos show different variations; in k epochs, each photo shows all of them.
        chosen = (rows + epoch) % len(self._features)
        return self.mixed(number, self._features[chosen, rows].astype(np.float32), self.targets_of(rows))


def is_worth_it(frozen: Any, photos: int, variations: int) -> bool:
    """Whether OpenVINO computes the frozen part: on CPUs, in float32, if the features of all photos fit."""
    if (
        frozen is None
        or keras.config.dtype_policy().name != "float32"
        or keras.distribution.list_devices("gpu")
    ):
        return False
    size = int(np.prod(frozen.output_shape[1:])) * np.dtype(np.float16).itemsize
    return size * photos * variations <= _MOST_BYTES


def features(
    frozen: Any,
    pixels: "NDArray[np.uint8]",
    vary: Vary | None,
    seed: int,
    variations: int,
    path: Path,
    listener: "Listener",
) -> "NDArray[Any]":
    """Return features float16 [variations, n, …] of uint8 [n, h, w, c], memory-mapped from the file `path`.

    Without `vary`, the photos are as they are. The content of a variation depends on the seed alone.
    """
    network = FrozenNetwork(frozen, np.float16)
    cache = open_cache(network)
    shape = (variations, len(pixels), *network.shape)
    found = np.lib.format.open_memmap(path, mode="w+", dtype=network.dtype, shape=shape)
    for number in range(variations):
        for start in range(0, len(pixels), _TOGETHER):
            part = pixels[start : start + _TOGETHER]
            if vary is not None:
                part = vary(part, np.random.default_rng((_STREAM, seed, number, start)))
            found[number, start : start + len(part)] = features_of(network, part, cache, listener)
    return found
