"""What the use-cases work with: settings, database, queue and loaded models, opened once in each process."""

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from returns_pipeline.classify.bundle import Bundle, find_bundle
from returns_pipeline.classify.runtimes.interface import Classifier
from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.photos.source import PhotoSource
from returns_pipeline.records.runs import RunKind
from returns_pipeline.records.tasks import BULK, INTERACTIVE, Argument, Queue, Task
from returns_pipeline.settings import Settings
from returns_pipeline.store import runs
from returns_pipeline.store.database import Database

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Kinds of runs whose answers a person or a program waits for.
_AWAITED = {RunKind.ADHOC, RunKind.API}
#: Models that a process keeps: the one of the night, and another that somebody asks for beside it.
_MOST_LOADED = 2


@dataclass(frozen=True)
class Context:
    """One process's connections and models; tests hand in their own."""

    settings: Settings
    db: Database
    queue: Queue
    load_classifier: Callable[[Bundle], Classifier]
    loaded: dict[str, tuple[Bundle, Classifier]] = field(default_factory=dict)
    photos: PhotoSource = field(default_factory=FolderSource)

    def model(self, name: str, sha256: str) -> tuple[Bundle, Classifier]:
        """Return a loaded model, `NAME/VERSION`; the two that were used last stay in memory.

        Raises ConfigFault when it is missing, broken, or not the one with the digest `sha256` that the run
        was opened for: another machine's folder, or a bundle that was replaced.
        """
        found = self.loaded.pop(sha256, None)
        if found is None:
            bundle = find_bundle(self.settings.models_dir, name)
            if bundle.digest != sha256:
                raise ConfigFault(
                    "The bundle {name} in {models_dir} is not the one the run was opened for.",
                    "Give every worker the same bundles; a changed one needs a new version number.",
                    name=name,
                    models_dir=self.settings.models_dir,
                )
            while len(self.loaded) >= _MOST_LOADED:
                del self.loaded[next(iter(self.loaded))]
            found = bundle, self.load_classifier(bundle)
        # A dict keeps the order: the one that was used last is the last.
        self.loaded[sha256] = found
        return found

    def send(self, task: Task, *arguments: Argument, queue: str | None = None) -> bool:
        """Send one message; return whether the broker took it.

        A message that it did not take is an open row in the database, which the sweep sends again.
        """
        try:
            self.queue.send(task, *arguments, queue=queue)
        except TransientFault as fault:
            log.warning("left_to_the_sweep", reason=fault.message)
            return False
        return True

    def send_chunk(self, chunk_id: int, kind: RunKind) -> bool:
        """Send a chunk's message; chunks of `kind`s that are waited for come first."""
        return self.send(Task.CLASSIFY_CHUNK, chunk_id, queue=queue_of(kind))

    def close_if_complete(self, run_id: int) -> None:
        """Ask for a run to be closed when nothing in it is open."""
        if runs.is_complete(self.db, run_id):
            self.send(Task.CLOSE_RUN, run_id)


def queue_of(kind: RunKind) -> str:
    """Return the queue for the chunks of a run."""
    return INTERACTIVE if kind in _AWAITED else BULK
