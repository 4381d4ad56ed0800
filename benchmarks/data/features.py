"""Features of labelled photos from a frozen backbone, computed once."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.features.cache import FeatureCache
from returns_pipeline.training.features.compute import features_of
from returns_pipeline.training.features.network import FrozenNetwork
from returns_pipeline.training.labelled.folders import read_tree
from returns_pipeline.training.labelled.photos import load_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BACKBONE, _SIZE = "efficientnet-lite0", ImageInput(224, 224, 3)
_MOST_BYTES = 2**30


class Photos(NamedTuple):
    """Photos as features float32 [n, f] of equal length, and their labels' indices int64 [n]."""

    features: "NDArray[np.float32]"
    truth: "NDArray[np.int64]"
    labels: tuple[str, ...]


class _Progress:
    """Shows each stage on standard error. Implements `pipeline.recipe.Listener`."""

    def stage(self, name: str) -> None:
        """Show a stage."""
        print(name, file=sys.stderr)

    def progress(self, done: int, total: int, numbers: Mapping[str, float] | None = None) -> None:
        """Show nothing."""

    def warn(self, sentence: str) -> None:
        """Show a warning."""
        print(sentence, file=sys.stderr)


def features_of_folders(root: Path, cache: Path) -> Photos:
    """Return the photos of all parts of class folders; features are kept in the folder `cache`."""
    import keras
    from keras import layers

    from returns_pipeline.training.networks.backbones import pretrained

    progress = _Progress()
    tree = read_tree(root)
    pixels = keras.Input(_SIZE.shape, dtype="uint8")
    scaled = layers.Rescaling(1.0, dtype="float32")(pixels)
    pooled = layers.GlobalAveragePooling2D()(pretrained(_BACKBONE, _SIZE)(scaled))
    network = FrozenNetwork(keras.Model(pixels, pooled))
    kept = FeatureCache(cache, network.digest, _MOST_BYTES)
    features, truth = [], []
    for part, photos in tree.parts.items():
        progress.stage(f"Reading {part}")
        decoded, readable = load_pixels(photos, _SIZE, progress.progress)
        progress.stage(f"Computing the features of {part}")
        features.append(features_of(network, decoded, kept, progress))
        truth.append(photos.truth[readable])
    everything = np.concatenate(features).astype(np.float32)
    everything *= np.sqrt(everything.shape[1]) / np.linalg.norm(everything, axis=1, keepdims=True)
    return Photos(everything, np.concatenate(truth), tree.labels.names)
