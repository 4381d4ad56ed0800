"""Sends requests to the workers and waits for their runs, for the command line and the public API."""

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from returns_pipeline.errors import NotFoundError, PipelineError, TransientFault
from returns_pipeline.photos.intake_rules import SkipRule
from returns_pipeline.photos.sources import Sources
from returns_pipeline.records.runs import Progress, RunState, RunSummary
from returns_pipeline.records.tasks import Argument, Queue, Task
from returns_pipeline.settings import Settings
from returns_pipeline.store import images, runs
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.schedule import request_of_intake

_POLL_SECONDS = 0.05
#: Seconds between two checks whether anything keeps the run from finishing.
_CHECK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request for one run: `id` finds the run.

    `sent_as` is the id of the message that carries the request. One message may carry several requests.
    """

    id: str
    sent_as: str


def image_files(settings: Settings, paths: Iterable[Path]) -> list[str]:
    """Return the absolute paths of files, and of the files in folders that a scan would take.

    Raises NotFoundError for a path that does not exist.
    """
    source, is_skipped = Sources(), SkipRule(settings.skip_patterns)
    files = []
    for path in paths:
        if path.is_dir():
            files += sorted(file.path for file in source.find(str(path.absolute()), is_skipped))
        elif path.exists():
            files.append(str(path.absolute()))
        else:
            raise NotFoundError("{path} does not exist.", path=path)
    return files


def send(queue: Queue, task: Task, *arguments: Argument) -> Request:
    """Send a request for one run. Raises TransientFault if the broker does not answer."""
    # Checked first: sending would subscribe to the result, and retry that for a while without a broker.
    queue.require_writable()
    request_id = str(uuid.uuid4())
    queue.send(task, *arguments, request_id=request_id)
    return Request(request_id, request_id)


def send_scan(settings: Settings, queue: Queue, directory: Path | None = None) -> list[Request]:
    """Send one message for a scan of `directory`, or of every intake; return a request for each run.

    Raises ConfigFault if `directory` is not a readable folder, TransientFault if the broker does not answer.
    """
    if directory is not None:
        Sources().require_folder(str(directory))
        return [send(queue, Task.SCAN, str(directory.absolute()))]
    sent = send(queue, Task.SCAN, None)
    return [
        Request(request_of_intake(sent.id, settings, intake.model), sent.id)
        for intake in settings.every_intake
    ]


def wait_for_run(
    database: Database,
    queue: Queue,
    request: Request,
    *,
    timeout: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_obstacle: Callable[[str], None] | None = None,
) -> RunSummary:
    """Wait until the run of a request is closed; return it.

    Progress is read from the database, not from the queue, so it counts committed results only. `on_obstacle`
    is called with each new reason why the run does not finish; the run continues once that is corrected.

    Raises the error that ended the request, TransientFault if no worker answers before the run is open or if
    the run is not closed after `timeout` seconds, NotFoundError if the run was deleted meanwhile.
    """
    polling = _Polling(request, timeout)
    run_id = _opened_run(database, queue, request, polling)
    while True:
        now = runs.progress(database, run_id)
        if on_progress:
            on_progress(now)
        if now.state is RunState.CLOSED:
            return runs.existing(database, run_id)
        if polling.is_check_due():
            found = _obstacle(database, queue, run_id, now)
            if found and found != polling.obstacle and on_obstacle:
                on_obstacle(found)
            polling.obstacle = found
        polling.pause()


class _Polling:
    """When to poll, when to look for an obstacle, and when to give up."""

    def __init__(self, request: Request, timeout: float | None) -> None:
        """Begin now; `timeout` in seconds, None for no limit."""
        self._request = request
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._next_check = time.monotonic() + _CHECK_SECONDS
        #: Why the run does not finish, as far as the last check found.
        self.obstacle: str | None = None

    def is_check_due(self) -> bool:
        """Whether _CHECK_SECONDS have passed since this last returned true."""
        due = time.monotonic() > self._next_check
        if due:
            self._next_check = time.monotonic() + _CHECK_SECONDS
        return due

    def pause(self) -> None:
        """Wait until the next poll. Raises TransientFault at the deadline."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise TransientFault(
                "The run of request {request} was not closed in time.",
                self.obstacle or "Wait for the same request again; the work continues.",
                request=self._request.id,
            )
        time.sleep(_POLL_SECONDS)


def _opened_run(database: Database, queue: Queue, request: Request, polling: _Polling) -> int:
    """Return the id of the request's run once it is open."""
    while (run_id := runs.find_request(database, request.id)) is None:
        error = queue.error_of(request.sent_as)
        if isinstance(error, PipelineError):
            raise error
        if error is not None:
            raise PipelineError("The request failed: {reason!r}.", reason=error)
        if polling.is_check_due() and not queue.workers():
            raise TransientFault(
                "No worker answers; the request waits in the queue.",
                "Start a worker: `returns-pipeline worker`, or everything: `returns-pipeline up`.",
            )
        polling.pause()
    return run_id


def _obstacle(database: Database, queue: Queue, run_id: int, now: Progress) -> str | None:
    """Return what keeps the run from finishing, if anything. The run continues once it is corrected."""
    fault = images.open_work(database, run_id).fault
    try:
        if not fault and not queue.workers():
            fault = "no worker answers. Start one: `returns-pipeline worker`, or `returns-pipeline up`."
    except TransientFault as no_broker:
        fault = str(no_broker)
    if not fault and now.done == now.total and now.state is not RunState.SCANNING:
        fault = (
            "every photo is done, but the report is not written yet. If this persists, see the log of "
            "worker-control."
        )
    return fault
