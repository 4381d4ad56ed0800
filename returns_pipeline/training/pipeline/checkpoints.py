"""Keeps the weights of an unfinished training on disk, so that an interrupted training can be resumed."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from returns_pipeline.errors import RefusedError

_STATE, _LAST, _BEST = "state.json", "last.weights.h5", "best.weights.h5"


@dataclass(slots=True)
class TrainingState:
    """The state between two epochs: Keras' numbers by name with a value for each epoch, and the best epoch.

    `purpose` identifies the training: recipe, options, seed and data. `best_epoch` counts from 1; 0 means
    none.
    """

    purpose: str
    history: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int = 0

    @property
    def epochs(self) -> int:
        """The number of finished epochs."""
        return len(self.history.get("val_loss", ()))


class Checkpoints:
    """The folder with the weights of an unfinished training.

    `purpose` identifies the training: recipe, options, seed and data. Only a training with the same purpose
    is resumed from these weights.
    """

    def __init__(self, folder: Path, purpose: str, *, resume: bool) -> None:
        """Open the folder. Without `resume`, delete the checkpoints of an earlier training.

        Raises RefusedError when there is nothing to resume, or when its purpose is different.
        """
        self.folder, self._purpose, self._resume = folder, purpose, resume
        if resume:
            self._require_same_purpose()
        else:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)

    def _require_same_purpose(self) -> None:
        path = self.folder / _STATE
        if not path.is_file():
            raise RefusedError(
                "There is no interrupted training in {folder}.",
                advice="Leave out --resume to start from the beginning.",
                folder=self.folder,
            )
        if json.loads(path.read_text(encoding="utf-8"))["purpose"] != self._purpose:
            raise RefusedError(
                "The interrupted training in {folder} had other options or other photos.",
                advice="Use the options of the interrupted training, or leave out --resume to start from the "
                "beginning.",
                folder=self.folder,
            )

    def restore(self, model: Any) -> TrainingState:
        """Load the last weights into `model` and return their state; without `resume`, an empty state."""
        if not self._resume:
            return TrainingState(self._purpose)
        state = json.loads((self.folder / _STATE).read_text(encoding="utf-8"))
        # Creates the optimizer's variables, so that they are loaded too.
        model.optimizer.build(model.trainable_variables)
        model.load_weights(self.folder / _LAST)
        return TrainingState(**state)

    def restore_best(self, model: Any) -> None:
        """Load the weights of the best epoch into `model`."""
        model.load_weights(self.folder / _BEST)

    def save(self, model: Any, state: TrainingState) -> None:
        """Write the weights after an epoch, then the state, so that the state never names missing weights."""
        for name in (_LAST, _BEST):
            if name == _BEST and state.best_epoch != state.epochs:
                continue
            draft = self.folder / f"draft-{name}"
            model.save_weights(draft)
            draft.replace(self.folder / name)
        draft = self.folder / f"draft-{_STATE}"
        content = {"purpose": state.purpose, "history": state.history, "best_epoch": state.best_epoch}
        draft.write_text(json.dumps(content), encoding="utf-8")
        draft.replace(self.folder / _STATE)

    def discard(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
