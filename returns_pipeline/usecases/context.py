"""What a process opens to run use cases: settings, database, queue and loaded models.

A worker opens its context in `workers.process`, the web in `web.app`, a test in `tests.support`.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property

import structlog

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.classify.runtimes.interface import Classifier
from returns_pipeline.classify.spaces.embedder import Embedder
from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.languages import use
from returns_pipeline.photos.codes.reader import CodeReader
from returns_pipeline.photos.source import PhotoSource
from returns_pipeline.photos.sources import Sources
from returns_pipeline.records.codes import CodeRules
from returns_pipeline.records.runs import RunKind
from returns_pipeline.records.tasks import BULK, INTERACTIVE, Argument, Queue, Task
from returns_pipeline.settings import Settings
from returns_pipeline.store import run_closing
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import model_store
from returns_pipeline.usecases.category_names import names_of_models

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Loads a bundle into a runtime. A process that classifies nothing has one that raises.
ClassifierLoader = Callable[[Bundle], Classifier]

#: Kinds of runs for whose predictions a person or a program waits.
_AWAITED = {RunKind.ADHOC, RunKind.API}
#: Models that a process keeps loaded: the night's, and one other, for example for an ad hoc run.
_MOST_LOADED = 2


@dataclass(frozen=True)
class Context:
    """One process's settings, database, queue and models. Every use case takes it as its first argument.

    A process opens it once, after any fork, and closes it when it ends. `loaded` holds the models that
    `model` has loaded, by the bundle's digest.
    """

    settings: Settings
    db: Database
    queue: Queue
    load_classifier: ClassifierLoader
    loaded: dict[str, tuple[Bundle, Classifier]] = field(default_factory=dict)
    photos: PhotoSource = field(default_factory=Sources)
    #: The loaded embedding space, by its digest.
    embedders: dict[str, Embedder] = field(default_factory=dict)
    #: Whether this worker is about to stop, so that a task of hours must pause.
    is_stopping: Callable[[], bool] = lambda: False

    @cached_property
    def code_reader(self) -> CodeReader | None:
        """What reads codes in photos; None if RETURNS_CODES is off."""
        formats = self.settings.codes
        return CodeReader(CodeRules(formats, self.settings.code_pattern)) if formats else None

    def close(self) -> None:
        """Close the database and end the processes that read codes."""
        self.db.close()
        if self.code_reader:
            self.code_reader.close()

    def model(self, name: str, sha256: str) -> tuple[Bundle, Classifier]:
        """Return the loaded model NAME/VERSION. The two most recently used stay in memory.

        Raises ConfigFault if the bundle is missing or broken, or if its digest is not `sha256`, the one that
        the run was opened for: the bundle was replaced, or this machine has another models folder.
        """
        found = self.loaded.pop(sha256, None)
        if found is None:
            bundle = model_store.find(self.settings, name)
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
        # A dict keeps insertion order, so the most recently used model is the last.
        self.loaded[sha256] = found
        return found

    def spoken(self) -> AbstractContextManager[None]:
        """Return a context in which sentences are in RETURNS_LANGUAGE: of reports and notices."""
        return use(self.settings.language, names_of_models(self.settings.models_dir))

    def send(
        self, task: Task, *arguments: Argument, request_id: str | None = None, queue: str | None = None
    ) -> bool:
        """Send one message; return whether the broker took it.

        If it did not, the sweep sends the message later, because the database still has the open row.
        """
        try:
            self.queue.send(task, *arguments, request_id=request_id, queue=queue)
        except TransientFault as fault:
            log.warning("left_to_the_sweep", reason=fault.message)
            return False
        return True

    def send_chunks(self, chunk_ids: Iterable[int], kind: RunKind) -> bool:
        """Send the messages of chunks until the broker fails; return whether it took all of them.

        The sweep sends the rest. `kind` is the kind of the chunks' run.
        """
        return all(self.send(Task.CLASSIFY_CHUNK, each, queue=queue_of(kind)) for each in chunk_ids)

    def close_if_complete(self, run_id: int) -> None:
        """Send the message that closes a run, if nothing in the run is open."""
        if run_closing.is_complete(self.db, run_id):
            self.send(Task.CLOSE_RUN, run_id)


def queue_of(kind: RunKind) -> str:
    """Return the queue for the chunks of a run. INTERACTIVE is served before BULK."""
    return INTERACTIVE if kind in _AWAITED else BULK
