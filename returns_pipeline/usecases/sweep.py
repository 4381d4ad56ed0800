"""The sweep: sends messages again for work that the database has open and no process works on."""

from datetime import datetime

import structlog

from returns_pipeline import tracing
from returns_pipeline.records.tasks import BULK, INTERACTIVE, Task
from returns_pipeline.store import final_labels, nights, resending, run_closing, runs
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import (
    deletion,
    direct_uploads,
    drift,
    embedding,
    judging,
    notices,
    photo_looks,
    product_comparison,
    retraining,
    reuse,
    schedule,
    search,
    uploads,
)
from returns_pipeline.usecases.closing import CLOSING_LEASES
from returns_pipeline.usecases.context import Context, queue_of
from returns_pipeline.usecases.jobs import resend_lost_jobs

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Most chunks that one sweep sends again, of each kind: expired and lost.
_SWEEP_LIMIT = 1000
#: Most rows of an older release that one sweep completes.
_COMPLETED_LIMIT = 5000


def sweep(context: Context, now: datetime | None = None) -> None:
    """Send open work again that no process works on: chunks, jobs, scans, closings, and a missed night.

    Also sends the reports that lack reviews and the nights that were not compared, ends the days of uploads,
    removes unconfirmed ones, indexes the names of new images, has photos compared with others and with
    products, new pictures of products embedded, returns judged and models retrained, removes the files of
    deleted images and what photos of long ago are compared by, and tells of late nights and old work.
    Idempotent, and cheap when idle. Raises TransientFault if the broker does not answer; the next sweep tries
    again. `now` is aware, by default the present moment.
    """
    now = now or utc_now()
    nights.release_future(context.db)
    chunk_count = _resend_chunks(context)
    uploads.clean_up(context, now)
    direct_uploads.clean_up(context, now)
    resend_lost_jobs(context, context.settings.resend_seconds)
    scans = runs.interrupted_scans(context.db, context.settings.lease_seconds)
    for request_id, directory in scans:
        context.queue.send(Task.SCAN, str(directory) if directory else None, request_id=request_id)
    closings = run_closing.to_close(context.db, CLOSING_LEASES * context.settings.lease_seconds)
    for run_id in closings:
        context.queue.send(Task.CLOSE_RUN, run_id)
    corrected = run_closing.corrected(context.db)
    for run_id in corrected:
        context.queue.send(Task.UPDATE_REPORT, run_id)
    drift.send_if_missing(context)
    reuse.send_if_lost(context)
    reuse.remove_old(context, now)
    final_labels.complete_older(context.db, _COMPLETED_LIMIT)
    deletion.remove_files(context.settings, context.db, context.photos, now=now)
    judging.send_if_queued(context, now)
    embedding.go_on(context)
    product_comparison.send_if_lost(context)
    photo_looks.remove_old(context, now)
    retraining.send_lost(context)
    notices.watch(context, now)
    missed = _night_is_missing(context, now)
    if missed:
        # scan_incoming(directory=None, scheduled=True)
        context.queue.send(Task.SCAN, None, True)
    # Last, because it may take some seconds after many photos came in.
    search.index_names(context.db, context.settings)
    if chunk_count or scans or closings or missed:
        log.info("swept", chunks=chunk_count, scans=len(scans), closings=len(closings), night_missed=missed)


def _resend_chunks(context: Context) -> int:
    """Send chunks again whose lease has expired or whose message is lost; return how many."""
    seconds = context.settings.resend_seconds
    found = resending.expired(context.db, context.settings.lease_seconds, seconds, _SWEEP_LIMIT)
    # While messages wait, an old open chunk is most likely among them. Only an empty queue has lost it.
    lengths = context.queue.lengths()
    if not lengths[BULK] + lengths[INTERACTIVE]:
        found += resending.lost(context.db, seconds, _SWEEP_LIMIT)
    for chunk in found:
        with tracing.continued(chunk.traceparent):
            context.queue.send(Task.CLASSIFY_CHUNK, chunk.id, queue=queue_of(chunk.kind))
    resending.mark_sent(context.db, [chunk.id for chunk in found])
    return len(found)


def _night_is_missing(context: Context, now: datetime) -> bool:
    """Whether an intake has no run for the newest night that was due."""
    due = schedule.last_due(context.settings, now)
    night = schedule.night_request(due)
    return any(
        nights.night_is_missing(
            context.db, schedule.request_of_intake(night, context.settings, intake.model), due
        )
        for intake in context.settings.every_intake
    )
