"""Follows a request until its run is closed, with a progress bar on a terminal."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from returns_pipeline.errors import NotFoundError, PipelineError, TransientFault
from returns_pipeline.records.runs import Progress as Counted
from returns_pipeline.records.runs import RunState, RunSummary
from returns_pipeline.records.tasks import Queue
from returns_pipeline.store import images, runs
from returns_pipeline.store.database import Database

_POLL_SECONDS = 0.05
_SILENCE_SECONDS = 5.0


def follow(database: Database, queue: Queue, request_id: str, asked_as: str | None = None) -> RunSummary:
    """Wait until the run that `request_id` asked for is closed; return it.

    `asked_as` is the message that asked for it, where that has another id: it opens several runs.

    The database is asked, not the queue: the bar shows what is safe. Raises what ended the request, or
    TransientFault when no worker answers.
    """
    # Standard error, so that standard output holds the answer alone.
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(None), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("waiting", total=None)
        run_id = _opened(database, queue, request_id, asked_as or request_id)
        look_at, known_fault = time.monotonic() + _SILENCE_SECONDS, ""
        while True:
            now = runs.progress(database, run_id)
            scanning = now.state is RunState.SCANNING
            bar.update(task, description=now.state, completed=now.done, total=None if scanning else now.total)
            if now.state is RunState.CLOSED:
                break
            if time.monotonic() > look_at:
                look_at = time.monotonic() + _SILENCE_SECONDS
                known_fault = _tell_fault(database, queue, run_id, now, console, known_fault)
            time.sleep(_POLL_SECONDS)
    closed = runs.find(database, run_id)
    if closed is None:
        raise NotFoundError("Run {run_id} has been deleted.", run_id=run_id)
    return closed


def _tell_fault(
    database: Database, queue: Queue, run_id: int, now: Counted, console: Console, known: str
) -> str:
    """Say once what keeps the run from going on; it goes on by itself when that is mended."""
    fault = images.open_work(database, run_id).fault
    try:
        if not fault and not queue.workers():
            fault = "no worker answers. Start one: `returns-pipeline worker`, or `returns-pipeline up`."
    except TransientFault as away:
        fault = str(away)
    if not fault and now.done == now.total and now.state is not RunState.SCANNING:
        fault = (
            "every photo is done, but the report is not; if it stays so, the log of worker-control says why."
        )
    if fault and fault != known:
        console.print(f"Waiting: {fault}", markup=False, highlight=False, soft_wrap=True)
    return fault or known


def _opened(database: Database, queue: Queue, request_id: str, message: str) -> int:
    asked = time.monotonic()
    while (run_id := runs.find_request(database, request_id)) is None:
        error = queue.error_of(message)
        if error is not None:
            raise (
                error
                if isinstance(error, PipelineError)
                else PipelineError("The request failed: {reason!r}.", reason=error)
            )
        if time.monotonic() - asked > _SILENCE_SECONDS:
            if not queue.workers():
                raise TransientFault(
                    "No worker answers; the request waits in the queue.",
                    "Start one: `returns-pipeline worker`, or everything at once: `returns-pipeline up`.",
                )
            asked = time.monotonic()
        time.sleep(_POLL_SECONDS)
    return run_id
