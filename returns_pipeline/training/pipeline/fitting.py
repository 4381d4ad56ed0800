"""Fits a network, with a checkpoint after each epoch, so that Ctrl-C or a power failure loses little."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from returns_pipeline.training.pipeline.checkpoints import Checkpoints, TrainingState

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Called with the finished batches, all batches, and Keras' numbers so far in the epoch.
Progress = Callable[[int, int, Mapping[str, float] | None], None]

#: Returns varied copies of images, uint8 [n, h, w, c], as decided by the generator.
Vary = Callable[["NDArray[np.uint8]", np.random.Generator], "NDArray[np.uint8]"]


#: The generator of mixtures is not that of variations.
_MIXING = 0x313


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of uint8 pixels and their targets, shuffled in each epoch with `seed` and varied with `vary`.

    `pixels` uint8 [n, h, w, c] may be memory-mapped; `targets` has arrays of n rows by the name of the
    model's output. All `epochs` form one sequence, because Keras asks for batches of the next epoch before it
    reports the end of the current one. The content of a batch therefore depends on its number alone.
    """

    def __init__(
        self,
        pixels: "NDArray[np.uint8]",
        targets: "Mapping[str, NDArray[Any]]",
        batch: int,
        seed: int | None = None,
        vary: Vary | None = None,
        epochs: range = range(1),
        mixing: float = 0.0,
    ) -> None:
        """Start with the first of `epochs`; `batch` images in each batch, mixed as `Plan` says."""
        super().__init__()
        self._pixels, self._targets, self._batch = pixels, targets, batch
        self._seed, self._vary, self._epochs, self._mixing = seed, vary, epochs, mixing
        self._epoch_order: tuple[int, NDArray[np.int64]] = (-1, np.arange(len(pixels)))

    @property
    def per_epoch(self) -> int:
        """The number of batches in one epoch; the last one may be smaller."""
        return -(-len(self._pixels) // self._batch)

    def __len__(self) -> int:
        """Return the number of batches in all epochs."""
        return self.per_epoch * len(self._epochs)

    def _order(self, epoch: int) -> "NDArray[np.int64]":
        if self._seed is not None and self._epoch_order[0] != epoch:
            order = np.random.default_rng((self._seed, epoch)).permutation(len(self._pixels))
            self._epoch_order = (epoch, order)
        return self._epoch_order[1]

    def rows(self, number: int) -> "tuple[int, NDArray[np.int64]]":
        """Return the epoch of batch `number`, and its rows, ascending: what is on disk is read faster."""
        passed, index = divmod(number, self.per_epoch)
        epoch = self._epochs[passed]
        return epoch, np.sort(self._order(epoch)[index * self._batch : (index + 1) * self._batch])

    def targets_of(self, rows: "NDArray[np.int64]") -> "dict[str, NDArray[Any]]":
        """Return the targets of rows for each output."""
        return {name: values[rows] for name, values in self._targets.items()}

    def __getitem__(self, number: int) -> "tuple[NDArray[Any], dict[str, NDArray[Any]]]":
        """Return batch `number`: uint8 [batch, h, w, c] and the targets of each output."""
        epoch, rows = self.rows(number)
        pixels = self._pixels[rows]
        if self._vary is not None:
            index = number % self.per_epoch
            pixels = self._vary(pixels, np.random.default_rng((self._seed or 0, epoch, index)))
        return self.mixed(number, pixels, self.targets_of(rows))

    def mixed(
        self, number: int, inputs: "NDArray[Any]", targets: "dict[str, NDArray[Any]]"
    ) -> "tuple[NDArray[Any], dict[str, NDArray[Any]]]":
        """Return batch `number`, in which each row is mixed with another one; without mixing, as it is.

        `inputs` [n, …] keep their dtype; `targets` are float32 [n, labels]. One share of the batch is drawn
        from Beta(mixing, mixing): Zhang et al., "mixup: Beyond Empirical Risk Minimization",
        arXiv:1710.09412. For features of frozen layers: Verma et al., "Manifold Mixup", arXiv:1806.05236.
        """
        if not self._mixing:
            return inputs, targets
        draw = np.random.default_rng((_MIXING, self._seed or 0, number + self._epochs.start * self.per_epoch))
        share = np.float32(draw.beta(self._mixing, self._mixing))
        order = draw.permutation(len(inputs))

        def mix(values: "NDArray[Any]") -> "NDArray[Any]":
            return share * values.astype(np.float32) + (1 - share) * values[order].astype(np.float32)

        both = mix(inputs)
        if np.issubdtype(inputs.dtype, np.integer):
            both = both.round()
        return both.astype(inputs.dtype), {name: mix(values) for name, values in targets.items()}


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to fit, on which targets, and which weights to keep.

    `patience` is the number of epochs to wait for a better validation loss; None: fit all epochs.
    `keep_last`: keep the weights of the last epoch, for a schedule that is meant to end there, instead of the
    best epoch's. `smoothing`: the share of each target that goes to all labels alike (Szegedy et al.,
    arXiv:1512.00567). `mixing`: photos are mixed in pairs, in shares drawn from Beta(mixing, mixing); 0: not.
    """

    epochs: int
    patience: int | None = None
    keep_last: bool = False
    smoothing: float = 0.0
    mixing: float = 0.0

    @property
    def has_soft_targets(self) -> bool:
        """Whether a target is a distribution over the labels, and not one of them."""
        return bool(self.smoothing or self.mixing)


def fit(
    model: Any,
    train: Callable[[range], Batches],
    validation: Batches,
    plan: Plan,
    checkpoints: Checkpoints,
    on_progress: Progress,
) -> TrainingState:
    """Fit a compiled model as planned, leave it with the weights to keep, and return the final state.

    `train` returns the batches of the remaining epochs. Ctrl-C ends the training early with the weights so
    far; before the end of the first epoch, KeyboardInterrupt is raised again.
    """
    state = checkpoints.restore(model)
    batches = train(range(state.epochs, plan.epochs))
    callback = _EpochCallback(plan, checkpoints, state, batches.per_epoch, on_progress)
    was_interrupted = False
    try:
        model.fit(
            batches,
            steps_per_epoch=batches.per_epoch,
            shuffle=False,  # Batches shuffles
            validation_data=validation,
            epochs=plan.epochs,
            initial_epoch=state.epochs,
            callbacks=[callback],
            verbose=0,
        )
    except KeyboardInterrupt:
        if not state.epochs:
            raise
        was_interrupted = True
    if not plan.keep_last:
        checkpoints.restore_best(model)
    elif was_interrupted:
        # Keras does this at the end of fit(): it replaces the weights by their average, if the optimizer has
        # one.
        model.optimizer.finalize_variable_values(model.trainable_variables)
    return state


class _EpochCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Records each epoch, saves a checkpoint, and stops when the validation loss no longer improves."""

    def __init__(
        self,
        plan: Plan,
        checkpoints: Checkpoints,
        state: TrainingState,
        batches: int,
        on_progress: Progress,
    ) -> None:
        super().__init__()
        self._plan, self._checkpoints, self._state = plan, checkpoints, state
        self._batches, self._on_progress = batches, on_progress

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        done = self._state.epochs * self._batches + batch + 1
        self._on_progress(done, self._plan.epochs * self._batches, logs or {})

    def on_epoch_end(self, _epoch: int, logs: dict[str, float] | None = None) -> None:
        for name, value in (logs or {}).items():
            self._state.history.setdefault(name, []).append(float(value))
        losses = self._state.history["val_loss"]
        if losses[-1] == min(losses):
            self._state.best_epoch = len(losses)
        self._checkpoints.save(self.model, self._state)
        waited = len(losses) - self._state.best_epoch
        if self._plan.patience is not None and waited >= self._plan.patience:
            self.model.stop_training = True
