"""Holds a retraining for as long as this process works on it."""

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from returns_pipeline.errors import TransientFault
from returns_pipeline.store import retrainings
from returns_pipeline.store.retrainings import RetrainingLostError

if TYPE_CHECKING:
    from returns_pipeline.records.retraining import HeldRetraining
    from returns_pipeline.store.database import Database
    from returns_pipeline.training.pipeline.recipe import Listener


class Lease:
    """Renews a lease in a thread, because a step of the training may take longer than the lease.

    It is a Listener too: once another process has the retraining, it raises RetrainingLostError in the
    training.
    """

    def __init__(self, db: "Database", held: "HeldRetraining", seconds: float, listener: "Listener") -> None:
        """Renew nothing yet."""
        self._db, self._held, self._seconds, self._listener = db, held, seconds, listener
        self._is_over, self._is_lost = threading.Event(), False
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> Self:
        """Start to renew."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop renewing; the lease stays until its end."""
        self._is_over.set()
        self._thread.join()

    def _renew(self) -> None:
        while not self._is_over.wait(self._seconds / 4):
            try:
                retrainings.renew(self._db, self._held, self._seconds)
            except TransientFault:
                continue  # the next attempt may reach the database
            except RetrainingLostError:
                self._is_lost = True
                return

    def stage(self, name: str) -> None:
        """Begin a new stage."""
        self._require_held()
        self._listener.stage(name)

    def progress(self, done: int, total: int, numbers: Mapping[str, float] | None = None) -> None:
        """Show the progress."""
        self._require_held()
        self._listener.progress(done, total, numbers)

    def warn(self, sentence: str) -> None:
        """Show a warning."""
        self._listener.warn(sentence)

    def _require_held(self) -> None:
        if self._is_lost:
            raise RetrainingLostError("Another process has claimed this retraining.")
