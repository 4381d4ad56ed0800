"""Waits for the run of a request, with a progress bar on a terminal."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from returns_pipeline.errors import NotFoundError, PipelineError, TransientFault
from returns_pipeline.records.runs import Progress as RunProgress
from returns_pipeline.records.runs import RunState, RunSummary
from returns_pipeline.records.tasks import Queue
from returns_pipeline.report.words import run_state
from returns_pipeline.store import images, runs
from returns_pipeline.store.database import Database

_POLL_SECONDS = 0.05
#: Seconds between two checks whether anything keeps the run from finishing.
_CHECK_SECONDS = 5.0


def follow(database: Database, queue: Queue, request_id: str, sent_as: str | None = None) -> RunSummary:
    """Wait until the run of `request_id` is closed; return it.

    `sent_as` is the id of the message that asked for the run, if it differs: one message may open several
    runs, each with a request id of its own. Progress is read from the database, not from the queue, so the
    bar shows committed results only.

    Raises the error that ended the request, or TransientFault if no worker answers.
    """
    # Standard output is for the result.
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(None), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("waiting", total=None)
        run_id = _wait_for_run(database, queue, request_id, sent_as or request_id)
        next_check, reported = time.monotonic() + _CHECK_SECONDS, ""
        while True:
            now = runs.progress(database, run_id)
            # The total is not final while files are still found.
            total = None if now.state is RunState.SCANNING else now.total
            state = run_state(now.state, now.done, now.total)
            bar.update(task, description=state, completed=now.done, total=total)
            if now.state is RunState.CLOSED:
                break
            if time.monotonic() > next_check:
                next_check = time.monotonic() + _CHECK_SECONDS
                obstacle = _obstacle(database, queue, run_id, now)
                if obstacle and obstacle != reported:
                    reported = obstacle
                    console.print(f"Waiting: {obstacle}", markup=False, highlight=False, soft_wrap=True)
            time.sleep(_POLL_SECONDS)
    closed = runs.find(database, run_id)
    if closed is None:
        raise NotFoundError("Run {run_id} has been deleted.", run_id=run_id)
    return closed


def _obstacle(database: Database, queue: Queue, run_id: int, now: RunProgress) -> str | None:
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


def _wait_for_run(database: Database, queue: Queue, request_id: str, message_id: str) -> int:
    """Return the id of the request's run once it is open."""
    next_check = time.monotonic() + _CHECK_SECONDS
    while (run_id := runs.find_request(database, request_id)) is None:
        error = queue.error_of(message_id)
        if error is not None:
            raise (
                error
                if isinstance(error, PipelineError)
                else PipelineError("The request failed: {reason!r}.", reason=error)
            )
        if time.monotonic() > next_check:
            if not queue.workers():
                raise TransientFault(
                    "No worker answers; the request waits in the queue.",
                    "Start a worker: `returns-pipeline worker`, or everything: `returns-pipeline up`.",
                )
            next_check = time.monotonic() + _CHECK_SECONDS
        time.sleep(_POLL_SECONDS)
    return run_id
