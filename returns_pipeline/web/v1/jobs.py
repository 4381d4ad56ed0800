"""Jobs: what takes so long that nobody waits for it."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, status

from returns_pipeline.errors import ConflictError, NotFoundError
from returns_pipeline.records.jobs import Job as Asked
from returns_pipeline.records.jobs import JobKind
from returns_pipeline.store import jobs
from returns_pipeline.usecases.jobs import Progress, progress_of, progress_of_all, request_job, resend_job
from returns_pipeline.web.render.text import pathless
from returns_pipeline.web.security.access import Operator, Principal, Viewer
from returns_pipeline.web.v1.runs import existing
from returns_pipeline.web.v1.schemas import Job

router = APIRouter(tags=["jobs"])

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        description="Sent again with the same key, the request is done once.",
    ),
]


@router.get("/jobs", summary="The newest jobs")
def list_jobs(request: Request, _: Viewer, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> list[Job]:
    """Return the newest jobs, newest first."""
    context = request.app.state.context
    newest = jobs.latest(context.db, limit)
    return [
        _job(job, progress) for job, progress in zip(newest, progress_of_all(context, newest), strict=True)
    ]


@router.post("/scans", status_code=status.HTTP_202_ACCEPTED, summary="Scan the intake now")
def scan(request: Request, person: Operator, key: Key = None) -> Job:
    """Ask for what beat asks for at night."""
    return _ask(request, person, JobKind.SCAN, None, key)


@router.post("/retries", status_code=status.HTTP_202_ACCEPTED, summary="Try what was set aside again")
def retry_images(
    request: Request,
    person: Operator,
    run: Annotated[int | None, Query(ge=1, lt=2**31, description="Default: of all runs.")] = None,
    key: Key = None,
) -> Job:
    """Ask for a run with the quarantined and failed images of one run, or of all."""
    if run is not None:
        existing(request, run)
    return _ask(request, person, JobKind.RETRY, run, key)


@router.get("/jobs/{job_id}", summary="How far a job is")
def show_job(request: Request, _: Viewer, job_id: str) -> Job:
    """Return a job."""
    return _shown(request, _existing(request, job_id))


@router.delete("/jobs/{job_id}", summary="Cancel a job that has not begun")
def cancel(request: Request, _: Operator, job_id: str) -> Job:
    """Cancel a job. One whose run is open cannot be cancelled: its images have come in."""
    _existing(request, job_id)
    if not jobs.cancel(request.app.state.context.db, job_id):
        raise ConflictError("This job has begun, or is cancelled already.", "Look at its run.")
    return _shown(request, _existing(request, job_id))


@router.post(
    "/jobs/{job_id}/retry",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Do a job that failed or was cancelled after all",
)
def retry_job(request: Request, _: Operator, job_id: str) -> Job:
    """Ask for a job again."""
    job = _existing(request, job_id)
    state = _shown(request, job).state
    if state not in {"failed", "cancelled"}:
        raise ConflictError("This job is {state}.", "Retry what has failed or was cancelled.", state=state)
    resend_job(request.app.state.context, job)
    return _shown(request, _existing(request, job_id))


def _ask(request: Request, person: Principal, kind: JobKind, run_id: int | None, key: str | None) -> Job:
    job = request_job(request.app.state.context, kind, run_id, person.name, key)
    if job.run_id != run_id:
        raise ConflictError("This Idempotency-Key was used for another request.", "Use a new key.")
    return _shown(request, job)


def _existing(request: Request, job_id: str) -> Asked:
    found = jobs.find(request.app.state.context.db, job_id)
    if found is None:
        raise NotFoundError("There is no such job.")
    return found


def _shown(request: Request, job: Asked) -> Job:
    return _job(job, progress_of(request.app.state.context, job))


def _job(job: Asked, progress: Progress) -> Job:
    return Job(
        id=job.id,
        kind=job.kind,
        state=progress.state,
        run=progress.run,
        who=job.who,
        created_at=job.created_at,
        error=progress.error and pathless(progress.error),
    )
