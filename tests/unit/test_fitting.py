"""An interrupted training loses at most the epoch that was running."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.labelled.augmentation import Variation
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.networks.backbones import small_backbone
from returns_pipeline.training.networks.heads import MAIN, SUB, two_heads
from returns_pipeline.training.pipeline.checkpoints import Checkpoints, TrainingState
from returns_pipeline.training.pipeline.fitting import Batches, Plan, fit
from returns_pipeline.training.recipes.fashion_mnist_plus import vary

EPOCHS, BATCH = 4, 8
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 1), np.uint8)
TARGETS = {SUB: (PIXELS.mean(axis=(1, 2, 3)) > 127).astype(np.int64)}


def trained(checkpoints: Checkpoints, *, interrupted_at: int | None = None) -> tuple[Any, TrainingState]:
    """Fit a small network; Ctrl-C is pressed after `interrupted_at` batches."""
    keras.utils.set_random_seed(1)
    pixels = keras.Input((6, 6, 1), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
    probabilities = keras.layers.Dense(2, activation="softmax")(x)
    model = keras.Model(pixels, {SUB: probabilities})
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])

    def on_progress(done: int, _total: int, _numbers: Mapping[str, float] | None) -> None:
        if done == interrupted_at:
            raise KeyboardInterrupt

    state = fit(
        model,
        lambda epochs: Batches(PIXELS, TARGETS, BATCH, 5, vary, epochs),
        Batches(PIXELS, TARGETS, BATCH),
        Plan(EPOCHS, keep_last=True),
        checkpoints,
        on_progress,
    )
    return model, state


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    """After an interrupt in the third epoch and a resume, the weights equal those of one go, bit for bit."""
    whole, _ = trained(Checkpoints(tmp_path / "whole", "the same", resume=False))
    _, cut = trained(Checkpoints(tmp_path / "cut", "the same", resume=False), interrupted_at=12)
    assert cut.epochs == 2
    resumed, state = trained(Checkpoints(tmp_path / "cut", "the same", resume=True))
    assert state.epochs == EPOCHS
    for mine, other in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_an_interrupt_before_the_first_epoch_is_one(tmp_path: Path) -> None:
    """Ctrl-C in the first epoch ends the command."""
    with pytest.raises(KeyboardInterrupt):
        trained(Checkpoints(tmp_path / "cut", "any", resume=False), interrupted_at=2)


def test_only_the_same_training_is_resumed(tmp_path: Path) -> None:
    """A training with other options or photos does not continue from the weights of the interrupted one."""
    with pytest.raises(RefusedError, match="no interrupted training"):
        Checkpoints(tmp_path / "cut", "one", resume=True)
    trained(Checkpoints(tmp_path / "cut", "one", resume=False), interrupted_at=7)
    with pytest.raises(RefusedError, match="other options"):
        Checkpoints(tmp_path / "cut", "another", resume=True)


def test_two_heads_serve_the_product_of_both() -> None:
    """Served: p(sub) times p(main of sub), normalised, so the main category always fits the label."""
    labels = Labels(("dress", "shirt", "shorts", "skirt"), ("full", "upper", "bottom", "bottom"))
    size = ImageInput(64, 64, 3)
    features = keras.Sequential([small_backbone(size), keras.layers.GlobalAveragePooling2D()])
    network = two_heads(size, features, labels)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)
    heads = network.trained.predict(pixels, verbose=0)
    expected = heads[SUB] * heads[MAIN][:, [0, 1, 2, 2]]
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(network.served.predict(pixels, verbose=0), expected, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_variation_depends_only_on_its_generator(channels: int) -> None:
    """The same generator gives the same photos; without variation a photo is at most mirrored."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 12, 10, channels), np.uint8)
    much = Variation(crop=0.5, turn=20, shear=5, shift=0.1, jitter=0.3)
    once, again = (much(pixels, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert once.shape == pixels.shape
    assert (once != pixels).mean() > 0.5
    for photo, varied in zip(pixels, Variation()(pixels, np.random.default_rng(3)), strict=True):
        assert (varied == photo).all() or (varied == photo[:, ::-1]).all()


def test_mixed_photos_have_mixed_targets() -> None:
    """Each row is a part of itself and the rest of another row, in pixels as in the target, repeatably."""
    pixels = np.repeat(np.arange(0, 160, 20, dtype=np.uint8), 4).reshape(8, 2, 2, 1)
    targets = {"sub": np.eye(8, dtype=np.float32)}
    batches = Batches(pixels, targets, 8, seed=1, epochs=range(3), mixing=1.0)
    seen, mixed = batches[1]
    assert seen.dtype == np.uint8
    np.testing.assert_allclose(mixed["sub"].sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(seen[:, 0, 0, 0], mixed["sub"] @ pixels[:, 0, 0, 0], atol=0.51)
    assert 0 < mixed["sub"].max(axis=1).min() < 1
    resumed = Batches(pixels, targets, 8, seed=1, epochs=range(1, 3), mixing=1.0)[0]
    np.testing.assert_array_equal(resumed[0], seen)
    np.testing.assert_array_equal(resumed[1]["sub"], mixed["sub"])
