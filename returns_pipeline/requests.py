"""Jobs that were asked for over HTTP: sent once they have a row, and how far they are."""

from typing import Literal, Protocol

from returns_pipeline.errors import PipelineError, TransientFault
from returns_pipeline.records import RunState
from returns_pipeline.schedule import request_of_intake
from returns_pipeline.settings import Settings
from returns_pipeline.store import jobs, runs
from returns_pipeline.store.database import Database
from returns_pipeline.web_records import Job, JobKind

State = Literal["waiting", "running", "done", "failed", "cancelled"]


class JobQueue(Protocol):
    """What jobs need of the message broker. Raises TransientFault when it does not answer."""

    def send_job(self, job: Job) -> None:
        """Ask a worker to do a job."""
        ...

    def error_of(self, request_id: str) -> BaseException | None:
        """Return what ended a request, None for nothing."""
        ...


def send(db: Database, queue: JobQueue, job: Job) -> None:
    """Send a job's message; what the broker does not take, the sweep sends."""
    try:
        queue.send_job(job)
    except TransientFault:
        return
    jobs.mark_sent(db, job.id)


def state_of(
    settings: Settings, db: Database, queue: JobQueue, job: Job
) -> tuple[State, int | None, str | None]:
    """Return how far a job is, its run once there is one, and what ended it if that was a fault."""
    if job.cancelled_at:
        return "cancelled", None, None
    if job.error:
        return "failed", None, job.error
    # Of several intakes a scan opens several runs: the last one's state is the job's.
    models = [intake.model for intake in settings.every_intake] if job.kind is JobKind.SCAN else []
    names = [request_of_intake(job.id, settings, model) for model in models] or [job.id]
    found = [run_id for name in names if (run_id := runs.find_request(db, name)) is not None]
    if found and len(found) == len(names):
        states = {runs.progress(db, run_id).state for run_id in found}
        return ("done" if states == {RunState.CLOSED} else "running"), found[-1], None
    try:
        error = queue.error_of(job.id)
    except TransientFault:
        error = None
    if error is not None:
        return "failed", None, error.message if isinstance(error, PipelineError) else "A fault of ours."
    return ("running" if found else "waiting"), (found[-1] if found else None), None
