"""The public API: what a program does with the pipeline. Import the names from `returns_pipeline`.

It reads the database and sends messages through the broker, as the command line does; workers do the work. It
loads no model.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Self

from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.errors import (
    ConfigFault,
    ConflictError,
    FaultCode,
    ImageFault,
    NotFoundError,
    PipelineError,
    RefusedError,
    TransientFault,
)
from returns_pipeline.host import requests
from returns_pipeline.host.requests import Request
from returns_pipeline.records.images import ImageState
from returns_pipeline.records.models import ModelRef, ModelStage
from returns_pipeline.records.places import folder_of
from returns_pipeline.records.results import Result
from returns_pipeline.records.runs import LeftBehind, Progress, RunCounts, RunKind, RunState, RunSummary
from returns_pipeline.records.tasks import Queue, Task
from returns_pipeline.settings import Settings, load_settings
from returns_pipeline.store import runs
from returns_pipeline.store.database import Database, open_database
from returns_pipeline.usecases import models, results
from returns_pipeline.usecases.models import Activation

__all__ = [
    "Activation",
    "ConfigFault",
    "ConflictError",
    "FaultCode",
    "ImageFault",
    "ImageState",
    "LeftBehind",
    "ModelRef",
    "ModelStage",
    "ModelVersion",
    "NotFoundError",
    "Pipeline",
    "PipelineError",
    "Progress",
    "RefusedError",
    "Request",
    "Result",
    "RunCounts",
    "RunKind",
    "RunState",
    "RunSummary",
    "Settings",
    "TransientFault",
    "load_settings",
    "open_pipeline",
]


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model, on disk or in the database.

    `labels` are in the order of the output. `metrics` are those of its training. If there is no usable
    bundle on disk, `labels` is empty and `fault` says why. `created_at`, in UTC, is when the version was
    registered or first used; before that, when its bundle was written.
    """

    ref: ModelRef
    stage: ModelStage
    labels: tuple[str, ...]
    metrics: dict[str, float]
    created_at: datetime | None
    fault: str


class Pipeline:
    """One installation of the pipeline; `open_pipeline` opens it.

    Use it in a `with` block, or call `close` at the end. It belongs to the process that opened it and must
    not cross a fork. Every method raises TransientFault if the database or the broker does not answer.
    """

    def __init__(self, settings: Settings, database: Database, queue: Queue) -> None:
        """Keep the parts; `open_pipeline` opens them."""
        self.settings = settings
        self._database = database
        self._queue = queue

    def __enter__(self) -> Self:
        """Return the pipeline."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pipeline."""
        self.close()

    def close(self) -> None:
        """Close the connections to the database."""
        self._database.close()

    def scan(self, directory: str | PathLike[str] | None = None) -> list[Request]:
        """Send a scan of `directory`, or of every intake; return a request for each run.

        Without RETURNS_INTAKES there is one intake and so one request. The photos move to the archive or to
        quarantine, as at night.

        Raises ConfigFault if `directory` is not a readable folder.
        """
        folder = None if directory is None else folder_of(fspath(directory))
        return requests.send_scan(self.settings, self._queue, folder)

    def classify(
        self,
        paths: str | PathLike[str] | Iterable[str | PathLike[str]],
        model: str | None = None,
    ) -> Request:
        """Send files, and the files in folders, to be classified; return the request for their run.

        The files stay where they are, and every worker must be able to read them under the same path. `model`
        is NAME or NAME/VERSION, by default RETURNS_MODEL.

        Raises NotFoundError if a path does not exist.
        """
        listed = [paths] if isinstance(paths, str | PathLike) else paths
        files = requests.image_files(self.settings, map(Path, listed))
        return requests.send(self._queue, Task.CLASSIFY_PATHS, files, *([model] if model else []))

    def wait(
        self,
        request: Request,
        timeout: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> RunSummary:
        """Wait until the run of a request is closed; return it.

        `timeout` is in seconds. `on_progress` is called several times a second.

        Raises TransientFault if no worker answers or the timeout is over; the same request can be waited for
        again. Raises the error of the workers if they could not open the run: ConfigFault, RefusedError.
        """
        return requests.wait_for_run(
            self._database, self._queue, request, timeout=timeout, on_progress=on_progress
        )

    def run(self, run_id: int) -> RunSummary:
        """Return one run. Raises NotFoundError if there is none with this id."""
        return runs.existing(self._database, run_id)

    def runs(self, limit: int = 20) -> list[RunSummary]:
        """Return the newest runs, newest first."""
        return runs.latest(self._database, limit)

    def results(self, run: RunSummary | int, state: ImageState | None = None) -> Iterator[Result]:
        """Return an iterator over the images of a run, or over those in one state, with their final labels.

        Images are read in portions, so a run of any size needs little memory. A run that is still open gives
        what is known so far.

        Raises NotFoundError if there is no such run.
        """
        run_id = run.id if isinstance(run, RunSummary) else self.run(run).id
        return results.results(self._database, run_id, state)

    def models(self, name: str | None = None) -> list[ModelVersion]:
        """Return every version of every model, or of the model `name`, by name and version."""
        return [_version(each) for each in models.versions(self.settings, self._database, name)]

    def promote(
        self, model: str, *, reason: str = "", who: str | None = None, force: bool = False
    ) -> Activation:
        """Make the version `model`, NAME/VERSION, the active one: new runs use it, no worker restarts.

        `who` and `reason` are kept in the history; `who` is USER@HOST by default. `force` promotes a version
        that is measurably worse.

        Raises ConfigFault if its bundle is missing or broken, ConflictError if it is measurably worse than
        the active one, RefusedError if `model` names no version. Nothing is changed then.
        """
        return models.promote(
            self.settings, self._database, model, who=who or models.person(), reason=reason, force=force
        )

    def roll_back(self, name: str, *, reason: str = "", who: str | None = None) -> Activation:
        """Make the version of the model `name` active again that was active before the present one.

        Raises ConflictError if there is none, ConfigFault if its bundle is missing or broken. Nothing is
        changed then.
        """
        return models.rollback(self.settings, self._database, name, who=who or models.person(), reason=reason)


def open_pipeline(settings: Settings | None = None) -> Pipeline:
    """Open the pipeline of `settings`, by default those of the environment and the file `.env`.

    Raises ConfigFault if a setting is wrong, or if the database does not answer or has the tables of another
    version. An example, with a worker running:

    ```python
    import returns_pipeline as rp

    with rp.open_pipeline() as pipeline:
        request = pipeline.classify(["samples/image_1012_label_1.png"])
        run = pipeline.wait(request, timeout=60)
        for image in pipeline.results(run):
            print(image.name, image.final_label, image.probability)
        for version in pipeline.models():
            print(version.ref, version.stage)
    ```
    """
    chosen = load_settings() if settings is None else settings
    return Pipeline(chosen, open_database(chosen.database_url), open_queue(chosen))


def _version(version: models.Version) -> ModelVersion:
    return ModelVersion(
        ref=version.ref,
        stage=version.stage,
        labels=version.bundle.labels if version.bundle else (),
        metrics=dict(version.metrics),
        created_at=version.created_at,
        fault=version.fault,
    )
