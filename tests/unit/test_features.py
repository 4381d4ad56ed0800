"""Features of frozen networks are computed once for the same pixels, and kept within a bound."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from returns_pipeline.training.features.cache import FeatureCache
from returns_pipeline.training.features.compute import features_of
from returns_pipeline.training.features.network import FrozenNetwork

keras = pytest.importorskip("keras")

MOST = 2**30


class Listener:
    """Remembers the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def stage(self, name: str) -> None:
        """Show nothing."""

    def progress(self, done: int, total: int, numbers: Mapping[str, float] | None = None) -> None:
        """Show nothing."""

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)


class Counting(FrozenNetwork):
    """A network that counts the photos it computes, and fails after so many."""

    computed = 0
    fails_after = MOST

    def compute(self, pixels: "np.typing.NDArray[np.uint8]") -> "np.typing.NDArray[np.float32]":
        self.computed += len(pixels)
        if self.computed > self.fails_after:
            raise KeyboardInterrupt
        return super().compute(pixels)


def network(seed: int = 0) -> Counting:
    """Return a small network whose weights follow from the seed."""
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((8, 8, 3), dtype="uint8")
    x = keras.layers.Conv2D(5, 3)(keras.layers.Rescaling(1 / 255)(pixels))
    return Counting(keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(x)))


PHOTOS = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 3)).astype(np.uint8)


def test_the_same_pixels_are_computed_once(tmp_path: Path) -> None:
    """The features are Keras'. The same network in another process computes nothing, another one all."""
    first = network()
    cache = FeatureCache(tmp_path, first.digest, MOST)
    doubled = np.concatenate([PHOTOS, PHOTOS[::-1]])
    found = features_of(first, doubled, cache, Listener())
    assert np.abs(found - first._model.predict(doubled, verbose=0)).max() < 1e-4
    assert first.computed == len(PHOTOS)
    again = network()  # Keras numbers its layers differently
    assert again.digest == first.digest
    assert np.array_equal(features_of(again, doubled, cache, Listener()), found)
    assert again.computed == 0
    assert network(seed=1).digest != first.digest
    assert {path.stat().st_mode & 0o077 for path in tmp_path.rglob("*")} == {0}


def test_an_interrupt_keeps_what_was_computed_and_a_damaged_file_is_computed_again(tmp_path: Path) -> None:
    """After an interrupt only the rest is computed; of a cut or changed file, its photos are."""
    stopped = network()
    stopped.fails_after = 200
    cache = FeatureCache(tmp_path, stopped.digest, MOST)
    with pytest.raises(KeyboardInterrupt):
        features_of(stopped, PHOTOS, cache, Listener())
    rest = network()
    whole = features_of(rest, PHOTOS, cache, Listener())
    assert rest.computed == len(PHOTOS) - 192
    damaged = sorted(tmp_path.rglob("*.features"))
    damaged[0].write_bytes(damaged[0].read_bytes()[:-1])
    damaged[1].write_bytes(damaged[1].read_bytes()[:-1] + b"?")
    damaged[2].write_bytes(b"")
    repaired = network()
    assert np.array_equal(features_of(repaired, PHOTOS, cache, Listener()), whole)
    assert 0 < repaired.computed < len(PHOTOS)


def test_the_oldest_files_are_deleted_first_and_a_full_disk_is_only_a_warning(tmp_path: Path) -> None:
    """The folder stays within its bound, with what was used last. A folder that is full gives one warning."""
    key = [bytes([number]) * 32 for number in range(4)]
    features = np.zeros((1, 1000), np.float32)
    cache = FeatureCache(tmp_path / "kept", "a", 3 * 4500)
    for number in range(3):
        cache.keep([key[number]], features)
        for path in tmp_path.rglob("*.features"):
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 60))
    assert list(cache.known({key[0]}))  # now the first is not the oldest
    FeatureCache(tmp_path / "kept", "b", 3 * 4500).keep([key[3]], features)
    assert [bool(list(cache.known({each}))) for each in key[:3]] == [True, False, True]
    (tmp_path / "file").touch()
    listener = Listener()
    computing = network()
    full = FeatureCache(tmp_path / "file" / "full", computing.digest, MOST)
    assert features_of(computing, PHOTOS, full, listener).shape == (300, 5)
    assert len(listener.warnings) == 1
