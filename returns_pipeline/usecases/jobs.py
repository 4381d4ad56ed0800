"""Jobs that clients request over HTTP: each has a row before its message is sent."""

import hashlib
import uuid
from collections.abc import Iterable
from typing import Literal, NamedTuple

import structlog

from returns_pipeline.errors import ConflictError, PipelineError, TransientFault
from returns_pipeline.records.jobs import Job, JobKind
from returns_pipeline.records.runs import RunState
from returns_pipeline.records.tasks import Queue, Task
from returns_pipeline.store import jobs, runs
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.schedule import request_of_intake

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

State = Literal["waiting", "running", "done", "failed", "cancelled"]


class Progress(NamedTuple):
    """The state of a job, its run once one is open, and the error that ended it."""

    state: State
    run: int | None
    error: str | None


def request_job(context: Context, kind: JobKind, run_id: int | None, who: str, key: str | None = None) -> Job:
    """Add a job and send it. A second request of `who` with the same kind and `key` returns the first job."""
    text = f"{who}\n{kind}\n{key}" if key else uuid.uuid4().hex
    # The job's id is also the request id of its run, so a repeated request opens one run.
    job_id = f"job-{hashlib.sha256(text.encode()).hexdigest()[:40]}"
    job, is_new = jobs.add(context.db, job_id, kind, run_id, who)
    if is_new:
        send_job(context, job)
    return job


def resend_job(context: Context, job: Job, who: str) -> None:
    """Send a failed or cancelled job again; `who` asks for it.

    Raises ConflictError for a kind of job that only a newer version knows, TransientFault if the broker does
    not answer.
    """
    if job.kind is JobKind.UNKNOWN:
        raise ConflictError("This version does not know this kind of job.", "Update this program.")
    # Before the job is open again: with the old error, it would count as failed immediately.
    context.queue.forget(job.id)
    jobs.reopen(context.db, job, who)
    send_job(context, job)


def send_job(context: Context, job: Job) -> None:
    """Send a job's message under the job's own id. If the broker does not take it, the sweep sends it later.

    A kind of job that only a newer version knows is left to that version.
    """
    if job.kind is JobKind.SCAN:
        is_sent = context.send(Task.SCAN, request_id=job.id)
    elif job.kind is JobKind.RETRY:
        is_sent = context.send(Task.RETRY, job.run_id, request_id=job.id)
    else:
        return
    if is_sent:
        jobs.mark_sent(context.db, job.id)


def resend_lost_jobs(context: Context, seconds: float) -> None:
    """Send jobs again that were sent over `seconds` ago and have no run; record the errors of failed ones.

    Raises TransientFault if the broker does not answer.
    """
    for job in jobs.not_begun(context.db, seconds):
        error = context.queue.error_of(job.id)
        if error is not None:
            jobs.fail(context.db, job.id, error.message if isinstance(error, PipelineError) else repr(error))
        else:
            # The message carries the same request id as the first one, so both open the same run.
            send_job(context, job)


def progress_of(context: Context, job: Job) -> Progress:
    """Return how far a job is."""
    return progress_of_all(context, [job])[0]


def progress_of_all(context: Context, several: Iterable[Job]) -> list[Progress]:
    """Return how far each job is. A broker that does not answer is asked once, not for every job."""
    errors = _RequestErrors(context.queue)
    return [_progress(context, job, errors) for job in several]


class _RequestErrors:
    """The errors that ended requests, as the broker knows them. Stops asking when the broker fails."""

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


def _progress(context: Context, job: Job, errors: _RequestErrors) -> Progress:
    if job.cancelled_at:
        return Progress("cancelled", None, None)
    if job.error:
        return Progress("failed", None, job.error)
    settings, db = context.settings, context.db
    # With several intakes, a scan opens a run for each; the job shows the last one.
    models = [intake.model for intake in settings.every_intake] if job.kind is JobKind.SCAN else []
    requests = [request_of_intake(job.id, settings, model) for model in models] or [job.id]
    found = [run_id for request in requests if (run_id := runs.find_request(db, request)) is not None]
    if found and len(found) == len(requests):
        states = {runs.progress(db, run_id).state for run_id in found}
        return Progress("done" if states == {RunState.CLOSED} else "running", found[-1], None)
    # A job whose message was never sent cannot have failed.
    error = errors.error_of(job.id) if job.sent_at else None
    if error is not None:
        reason = error.message if isinstance(error, PipelineError) else "An unexpected error; see the log."
        return Progress("failed", None, reason)
    return Progress("running", found[-1], None) if found else Progress("waiting", None, None)
