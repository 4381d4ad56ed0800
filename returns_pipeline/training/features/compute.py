"""Features of photos: those that are kept, and the others computed and kept."""

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from returns_pipeline.settings import load_settings
from returns_pipeline.training.features.cache import FeatureCache
from returns_pipeline.training.features.network import FrozenNetwork

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from returns_pipeline.training.pipeline.recipe import Listener

#: Most bytes of features that are computed before they are kept, and most photos: an interrupt loses these.
_BLOCK_BYTES, _BLOCK_PHOTOS = 16 * 1024 * 1024, 64


def open_cache(network: FrozenNetwork) -> FeatureCache:
    """Return the cache of a network in this installation's folder."""
    settings = load_settings()
    most = settings.feature_cache_mb * 1024 * 1024
    return FeatureCache(cache_folder(settings.home), network.digest, most)


def cache_folder(home: Path) -> Path:
    """Return the folder of the features that are kept."""
    return home / "cache" / "features"


def features_of(
    network: FrozenNetwork, pixels: "NDArray[np.uint8]", cache: FeatureCache, listener: "Listener"
) -> "NDArray[Any]":
    """Return the features [n, *network.shape] of `pixels` uint8 [n, h, w, c].

    A photo is known by the sha256 of its pixels, so also a varied one, and whatever its file is called.
    Equal photos are computed once. What was computed before an interrupt is kept. If nothing can be kept, the
    listener is warned once.
    """
    places: defaultdict[bytes, list[int]] = defaultdict(list)
    for place, photo in enumerate(pixels):
        places[hashlib.sha256(np.ascontiguousarray(photo).data).digest()].append(place)
    features = np.empty((len(pixels), *network.shape), network.dtype)
    for keys, values in cache.known(places.keys()):
        for key, value in zip(keys, values, strict=True):
            features[places.pop(key, [])] = value
    missing = list(places)
    size = max(1, min(_BLOCK_PHOTOS, _BLOCK_BYTES // (features.itemsize * int(np.prod(network.shape)))))
    can_keep = True
    for start in range(0, len(missing), size):
        keys = missing[start : start + size]
        listener.progress(len(pixels) - len(missing) + start, len(pixels))
        values = network.compute(np.stack([pixels[places[key][0]] for key in keys]))
        for key, value in zip(keys, values, strict=True):
            features[places[key]] = value
        if can_keep:
            try:
                cache.keep(keys, values)
            except OSError as error:
                can_keep = False
                listener.warn(
                    f"The features cannot be kept for the next training: {error.strerror or error}."
                )
    listener.progress(len(pixels), len(pixels))
    return features
