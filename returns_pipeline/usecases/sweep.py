"""The sweep: sends again what the database says is open and nobody works on."""

from datetime import datetime

import structlog

from returns_pipeline.errors import PipelineError
from returns_pipeline.records.tasks import BULK, INTERACTIVE, Task
from returns_pipeline.store import chunks, jobs, runs
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import schedule, uploads
from returns_pipeline.usecases.context import Context, queue_of
from returns_pipeline.usecases.jobs import send_message
from returns_pipeline.usecases.runs import CLOSING_LEASES

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Most chunks that one sweep sends again.
_SWEEP_LIMIT = 1000


def sweep(context: Context, now: datetime | None = None) -> None:
    """Send again what the database says is open and nobody works on. Idempotent, cheap when idle.

    Also asks for the newest night's scan when the machine was off at its time.
    """
    settings = context.settings
    found = chunks.expired(context.db, settings.resend_seconds, _SWEEP_LIMIT)
    # A chunk that waits behind others is not lost: only an idle queue has lost it.
    lengths = context.queue.lengths()
    if not lengths[BULK] + lengths[INTERACTIVE]:
        found += chunks.lost(context.db, settings.resend_seconds, _SWEEP_LIMIT)
    for chunk_id, kind in found:
        context.queue.send(Task.CLASSIFY_CHUNK, chunk_id, queue=queue_of(kind))
    chunks.mark_sent(context.db, [chunk_id for chunk_id, _ in found])
    uploads.tidy(context, now or utc_now())
    for job in jobs.not_begun(context.db, settings.resend_seconds):
        error = context.queue.error_of(job.id)
        if error is not None:
            jobs.fail(context.db, job.id, error.message if isinstance(error, PipelineError) else repr(error))
        else:
            # Sent a second time it is the same request, and so the same run.
            send_message(context, job)
            jobs.mark_sent(context.db, job.id)
    scans = runs.interrupted_scans(context.db, settings.lease_seconds)
    for request_id, directory in scans:
        context.queue.send(Task.SCAN, str(directory) if directory else None, request_id=request_id)
    closings = runs.to_close(context.db, CLOSING_LEASES * settings.lease_seconds)
    for run_id in closings:
        context.queue.send(Task.CLOSE_RUN, run_id)
    due = schedule.last_due(settings, now or utc_now())
    night = schedule.night_request(due)
    requests = [schedule.request_of_intake(night, settings, intake.model) for intake in settings.every_intake]
    missed = any(runs.night_is_missing(context.db, request, due) for request in requests)
    if missed:
        # scan_incoming(directory=None, scheduled=True)
        context.queue.send(Task.SCAN, None, True)
    if found or scans or closings or missed:
        log.info("swept", chunks=len(found), scans=len(scans), closings=len(closings), night_missed=missed)
