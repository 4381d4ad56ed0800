"""Jobs that were asked for over HTTP: sent once they have a row, and how far they are."""

import hashlib
import uuid
from collections.abc import Iterable
from typing import Literal, NamedTuple

import structlog

from returns_pipeline.errors import PipelineError, TransientFault
from returns_pipeline.records.jobs import Job, JobKind
from returns_pipeline.records.runs import RunState
from returns_pipeline.records.tasks import Queue, Task
from returns_pipeline.store import jobs, runs
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.schedule import request_of_intake

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

_TASKS = {JobKind.SCAN: Task.SCAN, JobKind.RETRY: Task.RETRY}

State = Literal["waiting", "running", "done", "failed", "cancelled"]


class Progress(NamedTuple):
    """How far a job is, its run once there is one, and what ended it if that was a fault."""

    state: State
    run: int | None
    error: str | None


def ask(context: Context, kind: JobKind, run_id: int | None, who: str, key: str | None = None) -> Job:
    """Add a job and send it; one that `who` has asked for with the same `key` is found again."""
    # The same key of the same person is the same request, and so the same run.
    text = f"{who}\n{kind}\n{key}" if key else uuid.uuid4().hex
    job_id = f"job-{hashlib.sha256(text.encode()).hexdigest()[:40]}"
    job, is_new = jobs.add(context.db, job_id, kind, run_id, who)
    if is_new:
        send(context, job)
    return job


def again(context: Context, job: Job) -> None:
    """Do a job after all that failed or was cancelled. Raises TransientFault without a broker."""
    # First: with the error of the last time it would count as failed before it has begun.
    context.queue.forget(job.id)
    jobs.reopen(context.db, job.id)
    send(context, job)


def send(context: Context, job: Job) -> None:
    """Send a job's message; what the broker does not take, the sweep sends."""
    try:
        send_message(context, job)
    except TransientFault as fault:
        log.warning("left_to_the_sweep", reason=fault.message)
        return
    jobs.mark_sent(context.db, job.id)


def send_message(context: Context, job: Job) -> None:
    """Send a job's message under the job's own id. Raises TransientFault without a broker."""
    arguments = () if job.kind is JobKind.SCAN else (job.run_id,)
    context.queue.send(_TASKS[job.kind], *arguments, request_id=job.id)


def state_of(context: Context, job: Job) -> Progress:
    """Return how far a job is, its run once there is one, and what ended it if that was a fault."""
    return states_of(context, [job])[0]


def states_of(context: Context, several: Iterable[Job]) -> list[Progress]:
    """Return how far each job is; a broker that does not answer for one is not waited for again."""
    ends = _Ends(context.queue)
    return [_state(context, job, ends) for job in several]


class _Ends:
    """How requests ended, as the broker knows it until it fails to answer."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._is_answering = True

    def error_of(self, request_id: str) -> BaseException | None:
        if self._is_answering:
            try:
                return self._queue.error_of(request_id)
            except TransientFault:
                self._is_answering = False
        return None


def _state(context: Context, job: Job, ends: _Ends) -> Progress:
    if job.cancelled_at:
        return Progress("cancelled", None, None)
    if job.error:
        return Progress("failed", None, job.error)
    settings, db = context.settings, context.db
    # Of several intakes a scan opens several runs: the last one's state is the job's.
    models = [intake.model for intake in settings.every_intake] if job.kind is JobKind.SCAN else []
    names = [request_of_intake(job.id, settings, model) for model in models] or [job.id]
    found = [run_id for name in names if (run_id := runs.find_request(db, name)) is not None]
    if found and len(found) == len(names):
        states = {runs.progress(db, run_id).state for run_id in found}
        return Progress("done" if states == {RunState.CLOSED} else "running", found[-1], None)
    # What was never sent has not ended, whatever the broker would say if it answered.
    error = ends.error_of(job.id) if job.sent_at else None
    if error is not None:
        return Progress(
            "failed", None, error.message if isinstance(error, PipelineError) else "A fault of ours."
        )
    return Progress("running", found[-1], None) if found else Progress("waiting", None, None)
