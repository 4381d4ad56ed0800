"""Fits a network epoch by epoch so that nothing that was learnt is lost: to Ctrl-C, to a power failure."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from returns_pipeline.errors import RefusedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Batches done, all batches, and Keras' numbers so far in the epoch.
Progress = Callable[[int, int, Mapping[str, float] | None], None]

_STATE, _LAST, _BEST = "state.json", "last.weights.h5", "best.weights.h5"


#: Changes uint8 [n, h, w, c] as the generator says.
Vary = Callable[["NDArray[np.uint8]", np.random.Generator], "NDArray[np.uint8]"]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of uint8 pixels and their targets; with a `seed` in another order, and varied, in each epoch.

    `pixels` uint8 [n, h, w, c], which may lie on disk; `targets` arrays of n rows each, by the name of the
    output that they are for. The batches of all `epochs` follow one another, as Keras asks for some of the
    next epoch before it says that this one is over. So what a batch holds depends on its number alone.
    """

    def __init__(
        self,
        pixels: "NDArray[np.uint8]",
        targets: "Mapping[str, NDArray[Any]]",
        batch: int,
        seed: int | None = None,
        vary: Vary | None = None,
        epochs: range = range(1),
    ) -> None:
        """Begin with the first of `epochs`."""
        super().__init__()
        self._pixels, self._targets, self._batch = pixels, targets, batch
        self._seed, self._vary, self._epochs = seed, vary, epochs
        self._drawn: tuple[int, NDArray[np.int64]] = (-1, np.arange(len(pixels)))

    @property
    def of_an_epoch(self) -> int:
        """The number of batches in one epoch; the last may be smaller."""
        return -(-len(self._pixels) // self._batch)

    def __len__(self) -> int:
        """Return the number of batches in all epochs."""
        return self.of_an_epoch * len(self._epochs)

    def _order(self, epoch: int) -> "NDArray[np.int64]":
        if self._seed is not None and self._drawn[0] != epoch:
            order = np.random.default_rng((self._seed, epoch)).permutation(len(self._pixels))
            self._drawn = (epoch, order)
        return self._drawn[1]

    def __getitem__(self, number: int) -> "tuple[NDArray[np.uint8], dict[str, NDArray[Any]]]":
        """Return batch `number`: uint8 [batch, h, w, c] and the targets of each output."""
        passed, index = divmod(number, self.of_an_epoch)
        epoch = self._epochs[passed]
        # Ascending, for pixels that lie on disk.
        taken = np.sort(self._order(epoch)[index * self._batch : (index + 1) * self._batch])
        pixels = self._pixels[taken]
        if self._vary is not None:
            pixels = self._vary(pixels, np.random.default_rng((self._seed or 0, epoch, index)))
        return pixels, {name: values[taken] for name, values in self._targets.items()}


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to fit. `patience`: epochs without a better validation loss before it ends; None: all epochs.

    `keep_last`: the last weights count, for a schedule that ends in them, not those of the best epoch.
    """

    epochs: int
    patience: int | None = None
    keep_last: bool = False


@dataclass(slots=True)
class Record:
    """What is known between two epochs: numbers by name with a value for each epoch, and the best epoch."""

    purpose: str
    history: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int = 0

    @property
    def epochs(self) -> int:
        """How many epochs are done."""
        return len(self.history.get("val_loss", ()))


def fit(
    model: Any,
    train: Callable[[range], Batches],
    validation: Batches,
    plan: Plan,
    workshop: "Workshop",
    on_progress: Progress,
) -> Record:
    """Fit a compiled model, leave it with the weights that count, and return what was measured.

    `train` gives the batches of the epochs that are left. Ctrl-C ends the fitting with what was best so far;
    before the end of the first epoch it is raised again.
    """
    record = workshop.resume(model)
    left = range(record.epochs, plan.epochs)
    batches = train(left)
    keeper = _Keeper(plan, workshop, record, batches.of_an_epoch, on_progress)
    is_whole = True
    try:
        model.fit(
            batches,
            steps_per_epoch=batches.of_an_epoch,
            shuffle=False,  # Batches has drawn the order
            validation_data=validation,
            epochs=plan.epochs,
            initial_epoch=record.epochs,
            callbacks=[keeper],
            verbose=0,
        )
    except KeyboardInterrupt:
        if not record.epochs:
            raise
        is_whole = False
    if not plan.keep_last:
        model.load_weights(workshop.folder / _BEST)
    elif not is_whole:
        # What Keras does at the end: of averaged weights the average counts.
        model.optimizer.finalize_variable_values(model.trainable_variables)
    return record


class Workshop:
    """The folder in which an unfinished training keeps its weights.

    `purpose` is what is trained, on what, and how: another purpose does not go on with these weights.
    """

    def __init__(self, folder: Path, purpose: str, *, resume: bool) -> None:
        """Take the folder. Without `resume` what an earlier training left there is deleted.

        Raises RefusedError when there is nothing to resume, or it is of another purpose.
        """
        self.folder, self._purpose, self._resume = folder, purpose, resume
        if resume:
            self._require_same()
        else:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)

    def _require_same(self) -> None:
        path = self.folder / _STATE
        if not path.is_file():
            raise RefusedError(
                "There is no interrupted training in {folder}.",
                advice="Leave out --resume to begin anew.",
                folder=self.folder,
            )
        if json.loads(path.read_text(encoding="utf-8"))["purpose"] != self._purpose:
            raise RefusedError(
                "The interrupted training in {folder} had other options or other photos.",
                advice="Give the options that it had, or leave out --resume to begin anew.",
                folder=self.folder,
            )

    def resume(self, model: Any) -> Record:
        """Load what the interrupted training had into `model`; return its record, or an empty one."""
        if not self._resume:
            return Record(self._purpose)
        state = json.loads((self.folder / _STATE).read_text(encoding="utf-8"))
        # Builds the optimizer's variables, so that they are loaded too.
        model.optimizer.build(model.trainable_variables)
        model.load_weights(self.folder / _LAST)
        return Record(**state)

    def keep(self, model: Any, record: Record) -> None:
        """Write the weights after an epoch, the record last: it never names weights that are not there."""
        for name in (_LAST, _BEST):
            if name == _BEST and record.best_epoch != record.epochs:
                continue
            draft = self.folder / f"draft-{name}"
            model.save_weights(draft)
            draft.replace(self.folder / name)
        draft = self.folder / f"draft-{_STATE}"
        content = {"purpose": record.purpose, "history": record.history, "best_epoch": record.best_epoch}
        draft.write_text(json.dumps(content), encoding="utf-8")
        draft.replace(self.folder / _STATE)

    def discard(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


class _Keeper(keras.callbacks.Callback):  # type: ignore[misc]
    """Records each epoch, keeps the weights, ends a fitting that gets no better."""

    def __init__(
        self, plan: Plan, workshop: Workshop, record: Record, batches: int, on_progress: Progress
    ) -> None:
        super().__init__()
        self._plan, self._workshop, self._record = plan, workshop, record
        self._batches, self._on_progress = batches, on_progress

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        done = self._record.epochs * self._batches + batch + 1
        self._on_progress(done, self._plan.epochs * self._batches, logs or {})

    def on_epoch_end(self, _epoch: int, logs: dict[str, float] | None = None) -> None:
        for name, value in (logs or {}).items():
            self._record.history.setdefault(name, []).append(float(value))
        losses = self._record.history["val_loss"]
        if losses[-1] == min(losses):
            self._record.best_epoch = len(losses)
        self._workshop.keep(self.model, self._record)
        waited = len(losses) - self._record.best_epoch
        if self._plan.patience is not None and waited >= self._plan.patience:
            self.model.stop_training = True
