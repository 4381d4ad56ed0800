"""The recipe "fashion-mnist-plus": a better network for the same images, with the same prediction time.

It trains on 54,000 of the 60,000 official training images; the other 6,000 are for validation. The official
10,000 test images judge the model. The network and its options were chosen by the validation images alone.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from returns_pipeline.training.labelled import fashion_mnist
from returns_pipeline.training.labelled.fashion_mnist import LABELS, SOURCE
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.labelled.parts import Part, TrainingData, describe
from returns_pipeline.training.networks.small_cnns import better_cnn
from returns_pipeline.training.pipeline.bundle_metrics import standard_metrics
from returns_pipeline.training.pipeline.checkpoints import Checkpoints
from returns_pipeline.training.pipeline.fitting import Batches, Plan, fit
from returns_pipeline.training.pipeline.recipe import Fitted, Listener, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_OUTPUT = "probabilities"
BATCH = 256
_VALIDATION = 6_000
_SPLIT_SEED = 42
_SMOKE_IMAGES = 2_000
#: Highest learning rate, share of all steps in which it rises, and weight decay.
_RATE, _RISING, _DECAY = 4e-3, 0.2, 1e-2
#: Momentum of the averaged weights: about 1 / (1 - momentum) steps.
_AVERAGING = 0.998
_SMOOTHING = 0.05
#: In pixels: the largest shift of an image, and the side of the square that half of the images lose.
_SHIFT, _HOLE = 2, 8


@dataclass(frozen=True, slots=True)
class FashionMnistPlus:
    """The recipe and its only option."""

    epochs: int = 120

    name = "fashion-mnist-plus"

    def load(self, request: Request, listener: Listener, scratch: Path) -> TrainingData:  # noqa: ARG002
        """Return a division of the official training set, and the official test set as `test`."""
        data, official = fashion_mnist.load("train"), fashion_mnist.load("test")
        order = np.random.default_rng(_SPLIT_SEED).permutation(len(data.images))
        most = _SMOKE_IMAGES if request.smoke else None
        parts = {
            "train": data.take(order[_VALIDATION:][:most]).part(),
            "validation": data.take(order[:_VALIDATION][:most]).part(),
            "test": official.take(np.arange(len(official.images))[:most]).part(),
        }
        description = describe(parts, request.seed, {**SOURCE, "split_seed": _SPLIT_SEED})
        return TrainingData(Labels(LABELS, LABELS), parts, description, inverted=True)

    def fit(self, request: Request, data: TrainingData, listener: Listener) -> Fitted:
        """Fit with label smoothing, averaged weights and varied images; keep the last weights."""
        train, validation = data.parts["train"], data.parts["validation"]
        epochs = 1 if request.smoke else self.epochs
        purpose = json.dumps([self.name, epochs, request.seed, train.fingerprint])
        checkpoints = Checkpoints(request.checkpoint_folder, purpose, resume=request.resume)
        keras.utils.set_random_seed(request.seed)
        model = better_cnn(len(LABELS))
        trained = keras.Model(model.inputs, {_OUTPUT: model.output})
        trained.compile(
            optimizer=_optimizer(epochs * -(-len(train.truth) // BATCH)),
            loss=keras.losses.CategoricalCrossentropy(label_smoothing=_SMOOTHING),
            metrics=["accuracy"],
        )
        state = fit(
            trained,
            lambda left: Batches(train.pixels, _targets(train), BATCH, request.seed, vary, left),
            Batches(validation.pixels, _targets(validation), 1000),
            Plan(epochs, keep_last=True),
            checkpoints,
            listener.progress,
        )
        return Fitted(model, state.history, checkpoints=checkpoints)

    def metrics(
        self,
        data: TrainingData,
        fitted: Fitted,
        predictions: "Mapping[str, NDArray[np.float32]]",
        temperature: float,
    ) -> dict[str, float]:
        """Return the standard metrics."""
        return standard_metrics(data, fitted, predictions, temperature)


def vary(pixels: "NDArray[np.uint8]", draw: np.random.Generator) -> "NDArray[np.uint8]":
    """Return uint8 [n, h, w, c]: half mirrored, all moved by up to 2 pixels, half with a black square.

    The square: DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout",
    arXiv:1708.04552.
    """
    count, height, width, _ = pixels.shape
    padded = np.pad(pixels, ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)))
    down, right = draw.integers(0, 2 * _SHIFT + 1, (2, count, 1))
    rows, columns = np.arange(height) + down, np.arange(width) + right
    mirrored = draw.random((count, 1)) < 0.5
    columns = np.where(mirrored, columns[:, ::-1], columns)
    varied: NDArray[np.uint8] = padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    top, left = draw.integers(0, height, (count, 1)), draw.integers(0, width, (count, 1))
    high, wide = (abs(np.arange(side) - at) < _HOLE // 2 for side, at in ((height, top), (width, left)))
    holed = draw.random((count, 1, 1)) < 0.5
    varied[high[:, :, None] & wide[:, None, :] & holed] = 0
    return varied


def _targets(part: Part) -> "dict[str, NDArray[np.float32]]":
    return {_OUTPUT: part.one_hot(len(LABELS))}


def _optimizer(steps: int) -> Any:
    """Return AdamW with averaged weights; its rate rises, then falls to almost 0 over `steps` steps."""
    rising = max(1, int(steps * _RISING))
    rate = keras.optimizers.schedules.CosineDecay(
        _RATE / 20, max(1, steps - rising), alpha=1e-3, warmup_target=_RATE, warmup_steps=rising
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=_DECAY, use_ema=True, ema_momentum=_AVERAGING)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
