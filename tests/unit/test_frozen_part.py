"""The frozen layers of a network are computed once, and the rest is trained as in the whole network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.labelled.augmentation import Variation
from returns_pipeline.training.labelled.folders import Labels
from tests.unit.test_features import Listener

pytest.importorskip("keras")

import keras

from returns_pipeline.training.networks.heads import MAIN, SUB, one_head, two_heads
from returns_pipeline.training.pipeline.frozen_part import FeatureBatches, features
from returns_pipeline.training.recipes.outfit import Outfit

SIZE = ImageInput(16, 16, 3)
LABELS = Labels(("dress", "shirt", "skirt"), ("full", "upper", "bottom"))
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)


def backbone(first_trained: int) -> Any:
    """Return six convolutions, each with a shortcut around it and a normalisation; the first ones frozen."""
    pixels = keras.Input(SIZE.shape)
    x = keras.layers.Conv2D(4, 3, padding="same", name="stem")(keras.layers.Rescaling(1 / 255)(pixels))
    for number in range(6):
        inner = keras.layers.Conv2D(4, 3, padding="same", name=f"conv{number}")(x)
        inner = keras.layers.BatchNormalization(name=f"bn{number}")(inner)
        x = keras.layers.Add(name=f"add{number}")([x, inner])
    model = keras.Model(pixels, x)
    for layer in model.layers:
        number = int(layer.name[-1]) if layer.name[-1].isdigit() else 0
        layer.trainable = number >= first_trained and layer.name.startswith("conv")
    return model


@pytest.mark.parametrize(("first_trained", "heads"), [(4, 2), (6, 1)])
def test_both_halves_are_the_whole_network(first_trained: int, heads: int) -> None:
    """The cut is before the shortcut of the first trained block; what is trained late is served."""
    body = keras.Sequential([backbone(first_trained), keras.layers.GlobalAveragePooling2D()])
    if heads == 1:
        body.add(keras.layers.Dense(3, activation="softmax"))
    network = one_head(SIZE, body) if heads == 1 else two_heads(SIZE, body, LABELS)
    found = network.frozen.predict(PIXELS, verbose=0)
    assert not network.frozen.trainable_weights
    assert len(network.late.trainable_weights) == len(network.trained.trainable_weights)

    def same() -> None:
        late = network.late.predict(found, verbose=0)
        whole = network.trained.predict(PIXELS, verbose=0)
        assert late.keys() == whole.keys() == ({SUB} if heads == 1 else {SUB, MAIN})
        for name, values in whole.items():
            np.testing.assert_allclose(late[name], values, atol=1e-5)

    same()
    before = network.served.predict(PIXELS, verbose=0)
    names = (SUB, MAIN)[:heads]
    network.late.compile(keras.optimizers.Adam(0.1), dict.fromkeys(names, "sparse_categorical_crossentropy"))
    network.late.fit(found, dict.fromkeys(names, np.arange(8) % 3), verbose=0)
    same()
    assert np.abs(network.served.predict(PIXELS, verbose=0) - before).max() > 1e-4


def test_a_network_that_is_trained_from_the_start_is_not_divided() -> None:
    """Only a few frozen layers, or none, are computed with the others."""
    body = keras.Sequential([backbone(1), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)])
    assert one_head(SIZE, body).frozen is None


def test_each_photo_shows_each_variation_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In k epochs each photo is seen in its k variations, whose content follows from the seed."""
    monkeypatch.setenv("RETURNS_HOME", str(tmp_path))
    pixels = keras.Input(SIZE.shape, dtype="uint8")
    means = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1.0)(pixels))
    model, vary = keras.Model(pixels, means), Variation(jitter=0.5)
    made = [
        features(model, PIXELS, vary, seed, 3, tmp_path / f"{name}.npy", Listener())
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    ]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    batches = FeatureBatches(made[0], {SUB: np.arange(8)}, 3, seed=0, epochs=range(3))
    seen: dict[int, set[bytes]] = {number: set() for number in range(8)}
    for number in range(len(batches)):
        values, targets = batches[number]
        for value, row in zip(values, targets[SUB], strict=True):
            seen[row].add(value.tobytes())
    for row, found in seen.items():
        assert found == {made[0][k, row].astype(np.float32).tobytes() for k in range(3)}


def test_without_main_categories_outfit_has_one_head() -> None:
    """Flat class folders need no mapping: each label is its own main category."""
    network = Outfit("none", side=64).build(Labels(LABELS.names, LABELS.names))
    assert network.trained.output_names == [SUB]
    assert network.served.output_shape == (None, 3)
    mapped = Outfit("none", side=64).build(LABELS)
    assert set(mapped.trained.output_names) == {SUB, MAIN}
