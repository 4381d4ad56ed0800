"""What the use-cases work with: settings, database, queue and loaded models, opened once in each process."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, Protocol

import structlog

from returns_pipeline.classify.bundle import Bundle, find_bundle
from returns_pipeline.classify.runtimes.registry import Classifier
from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.records.jobs import Job
from returns_pipeline.records.runs import RunKind
from returns_pipeline.settings import Settings
from returns_pipeline.store import runs
from returns_pipeline.store.database import Database

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

P = ParamSpec("P")

#: Models that a process keeps: the one of the night, and another that somebody asks for beside it.
_MOST_LOADED = 2


class Queue(Protocol):
    """What the use-cases need of the message broker. Messages carry ids and nothing else.

    Every method raises TransientFault when the broker does not answer.
    """

    def send_chunk(self, chunk_id: int, kind: RunKind) -> None:
        """Ask a worker to classify a chunk."""
        ...

    def send_close(self, run_id: int) -> None:
        """Ask for a run to be closed."""
        ...

    def send_scan(self, request_id: str, directory: Path | None) -> None:
        """Ask for a scan that was cut short to go on."""
        ...

    def send_night(self) -> None:
        """Ask for the scan of the newest night that was due."""
        ...

    def send_job(self, job: Job) -> None:
        """Ask for what somebody wants over HTTP."""
        ...

    def send_explain(self, image_id: int) -> None:
        """Ask what a model looked at in an image."""
        ...

    def error_of(self, request_id: str) -> BaseException | None:
        """Return what ended a request, or None while it waits, runs or has succeeded."""
        ...

    def forget(self, request_id: str) -> None:
        """Forget how a request ended, so that it can be sent again."""
        ...

    def is_idle(self) -> bool:
        """Whether no chunk waits to be delivered."""
        ...


@dataclass(frozen=True)
class Pipeline:
    """One process's connections and models; tests hand in their own."""

    settings: Settings
    db: Database
    queue: Queue
    load_classifier: Callable[[Bundle], Classifier]
    loaded: dict[str, tuple[Bundle, Classifier]] = field(default_factory=dict)

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
                    f"The bundle {name} in {self.settings.models_dir} is not the one the run was opened for.",
                    "Give every worker the same bundles; a changed one needs a new version number.",
                )
            while len(self.loaded) >= _MOST_LOADED:
                del self.loaded[next(iter(self.loaded))]
            found = bundle, self.load_classifier(bundle)
        # A dict keeps the order: the one that was used last is the last.
        self.loaded[sha256] = found
        return found

    def send(self, message: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Send one message of the queue; return whether the broker took it.

        What it did not take is in the database, and the sweep sends it.
        """
        try:
            message(*args, **kwargs)
        except TransientFault as fault:
            log.warning("left_to_the_sweep", reason=fault.message)
            return False
        return True

    def close_if_complete(self, run_id: int) -> None:
        """Ask for a run to be closed when nothing in it is open."""
        if runs.is_complete(self.db, run_id):
            self.send(self.queue.send_close, run_id)
