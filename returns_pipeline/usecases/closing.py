"""Closes a complete run: its report, its statistics, its images in the review queue. May run twice."""

from concurrent.futures import ThreadPoolExecutor

import structlog

from returns_pipeline import tracing
from returns_pipeline.errors import ConfigFault, PipelineError, TransientFault
from returns_pipeline.records.runs import RunKind, RunSummary
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import (
    old_runs,
    product_comparisons,
    review_queue,
    run_closing,
    run_predictions,
    run_statistics,
    runs,
)
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import causes, judging, linking, reports
from returns_pipeline.usecases.closing_lease import ClosingLease
from returns_pipeline.usecases.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Leases without a renewal after which another process closes the run. While its photos are counted, its row
#: is locked and cannot be renewed; and the clocks of machines may differ.
CLOSING_LEASES = 3
#: Seconds that a closing takes at most to judge returns, so that its report finds them judged.
_JUDGING_SECONDS = 120.0


def close_run(context: Context, run_id: int) -> None:
    """Write the report of a complete run and close it; do nothing if it is not complete.

    Raises PipelineError if an image is neither classified, quarantined nor failed, and ConfigFault for a run
    of a kind that only a newer version knows. After any error the sweep tries again.
    """
    lease_seconds = context.settings.lease_seconds
    token = run_closing.begin_closing(context.db, run_id, CLOSING_LEASES * lease_seconds)
    if token is None:
        return
    with ClosingLease(context.db, run_id, token, lease_seconds) as lease:
        closed = _close(context, run_id, lease)
    if closed is None:
        return
    summary, is_notified = closed
    counts = summary.counts
    log.info(
        "run_closed",
        run=run_id,
        seen=counts.seen,
        classified=counts.classified,
        quarantined=counts.quarantined,
        failed=counts.failed,
        seconds=summary.seconds,
    )
    _send_what_follows(context, summary)
    if is_notified:
        context.send(Task.DELIVER_NOTICES)


def _close(context: Context, run_id: int, lease: ClosingLease) -> tuple[RunSummary, bool] | None:
    """Close a run; return it and whether there are notices of it, or None if another process closes it."""
    try:
        summary = run_closing.closing_summary(context.db, run_id, utc_now())
        require_known_kind(summary.kind, run_id)
        if linking.link_run(context, run_id):
            judging.judge_queued(context, _JUDGING_SECONDS)
        with ThreadPoolExecutor(1, "count") as beside:
            # The database counts while Python writes rows: no other process of this run has work to do.
            counting = beside.submit(_count, context, summary)
            with tracing.span("report", run=run_id):
                summary = reports.write(context, summary)
            counting.result()
        with context.spoken():
            unsure, notices = causes.of_closing(context, summary)
        if not run_closing.close(context.db, summary, lease.end(), unsure, notices):
            return None
    except Exception as error:
        if not isinstance(error, PipelineError):
            log.exception("closing_failed", run=run_id)
        with context.spoken():
            told = [] if isinstance(error, TransientFault) else [causes.cannot_close(run_id, error)]
        # The sweep tries again at once, not only after the lease.
        run_closing.abandon_closing(context.db, run_id, lease.end(), told)
        raise
    return summary, bool(notices)


def _count(context: Context, summary: RunSummary) -> None:
    """Count the photos and the seconds of a run that closes, and queue its photos for reviews."""
    with context.db.reading_once():
        run_statistics.count_labels(context.db, summary.id)
        run_statistics.add_stages(context.db, summary.id)
        if summary.kind is not RunKind.ADHOC:
            review_queue.enqueue(context.db, summary.id, context.settings.audit_share)
            run_predictions.count(context.db, summary.id)


def _send_what_follows(context: Context, summary: RunSummary) -> None:
    """Send what is done with the photos of a closed run. The sweep sends again what is lost."""
    if summary.kind.is_night:
        context.send(Task.COMPARE_NIGHT, summary.id)
    if context.settings.reuse_days and summary.kind.is_of_intake:
        context.send(Task.MATCH_PHOTOS)
    if product_comparisons.is_waiting(context.db):
        context.send(Task.COMPARE_RETURNS)


def update_report(context: Context, run_id: int) -> None:
    """Write the report and the counts of a closed run again if reviews came after them. May run twice.

    Those of a run whose rows have begun to leave stay as they are.
    """
    corrected_at = run_closing.newest_correction(context.db, run_id)
    if corrected_at is None:
        return
    if old_runs.is_leaving(context.db, run_id):
        # It could show only the photos that are left.
        run_closing.end_correction(context.db, run_id, corrected_at)
        return
    summary = runs.existing(context.db, run_id)
    reports.write(context, summary)
    run_statistics.count_labels(context.db, run_id)
    if summary.kind is not RunKind.ADHOC:
        run_predictions.count(context.db, run_id)
    run_closing.end_correction(context.db, run_id, corrected_at)
    log.info("report_updated", run=run_id)


def require_known_kind(kind: RunKind, run_id: int) -> None:
    """Raise ConfigFault for a run of a newer version, whose images only a newer worker can handle."""
    if kind is RunKind.UNKNOWN:
        raise ConfigFault(
            "Run {run} was opened by a newer version, for a purpose that this version does not know.",
            "Update this worker.",
            run=run_id,
        )
