"""Jobs: scans and retries, which run in the background."""

from typing import Annotated

from fastapi import APIRouter, Query, status

from returns_pipeline.errors import ConflictError, NotFoundError
from returns_pipeline.records.jobs import Job, JobKind
from returns_pipeline.records.text import pathless
from returns_pipeline.store import jobs, runs
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.jobs import Progress, progress_of, progress_of_all, request_job, resend_job
from returns_pipeline.web.dependencies import IdempotencyKey, Operator, Pipeline, Viewer
from returns_pipeline.web.queries.lookups import RUN_ID_END
from returns_pipeline.web.security.access import Principal
from returns_pipeline.web.v1.schemas import JobStatus

router = APIRouter(tags=["jobs"])


@router.get("/jobs", summary="The newest jobs")
def list_jobs(
    context: Pipeline, _: Viewer, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> list[JobStatus]:
    """Return the newest jobs, newest first."""
    newest = jobs.latest(context.db, limit)
    return [
        _body(job, progress) for job, progress in zip(newest, progress_of_all(context, newest), strict=True)
    ]


@router.post("/scans", status_code=status.HTTP_202_ACCEPTED, summary="Scan the intake now")
def scan(context: Pipeline, person: Operator, key: IdempotencyKey = None) -> JobStatus:
    """Request a scan of the intake folders, as the schedule does every night."""
    return _request(context, person, JobKind.SCAN, None, key)


@router.post("/retries", status_code=status.HTTP_202_ACCEPTED, summary="Retry quarantined and failed images")
def retry_images(
    context: Pipeline,
    person: Operator,
    run: Annotated[int | None, Query(ge=1, lt=RUN_ID_END, description="Default: all runs.")] = None,
    key: IdempotencyKey = None,
) -> JobStatus:
    """Request a run with the quarantined and failed images of one run, or of all runs."""
    if run is not None:
        runs.existing(context.db, run)
    return _request(context, person, JobKind.RETRY, run, key)


@router.get("/jobs/{job_id}", summary="The state of a job")
def show_job(context: Pipeline, _: Viewer, job_id: str) -> JobStatus:
    """Return a job."""
    return _status(context, job_id)


@router.delete("/jobs/{job_id}", summary="Cancel a job that has not begun")
def cancel(context: Pipeline, person: Operator, job_id: str) -> JobStatus:
    """Cancel a job. A job whose run is open cannot be cancelled: its images are already in the run."""
    _existing(context.db, job_id)
    if not jobs.cancel(context.db, job_id, person.name):
        raise ConflictError("This job has begun or is already cancelled.", "Look at its run.")
    return _status(context, job_id)


@router.post(
    "/jobs/{job_id}/retry",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Retry a job that failed or was cancelled",
)
def retry_job(context: Pipeline, person: Operator, job_id: str) -> JobStatus:
    """Request a job again."""
    job = _existing(context.db, job_id)
    state = progress_of(context, job).state
    if state not in {"failed", "cancelled"}:
        raise ConflictError(
            "This job is {state}.", "Only a failed or cancelled job can be retried.", state=state
        )
    resend_job(context, job, person.name)
    return _status(context, job_id)


def _request(
    context: Context, person: Principal, kind: JobKind, run_id: int | None, key: str | None
) -> JobStatus:
    job = request_job(context, kind, run_id, person.name, key)
    if job.run_id != run_id:
        raise ConflictError("This Idempotency-Key was used for another request.", "Use a new key.")
    return _body(job, progress_of(context, job))


def _existing(db: Database, job_id: str) -> Job:
    found = jobs.find(db, job_id)
    if found is None:
        raise NotFoundError("There is no such job.")
    return found


def _status(context: Context, job_id: str) -> JobStatus:
    job = _existing(context.db, job_id)
    return _body(job, progress_of(context, job))


def _body(job: Job, progress: Progress) -> JobStatus:
    return JobStatus(
        id=job.id,
        kind=job.kind,
        state=progress.state,
        run=progress.run,
        who=job.who,
        created_at=job.created_at,
        error=progress.error and pathless(progress.error),
    )
