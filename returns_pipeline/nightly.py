"""The use-cases around the work on chunks: scan, ad hoc, retry, close, sweep. Every one may run twice."""

import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from returns_pipeline import interactive, schedule
from returns_pipeline.errors import PipelineError
from returns_pipeline.opening import chunk_size, require_wanted, run_request
from returns_pipeline.photos import chunking, intake
from returns_pipeline.pipeline import Pipeline
from returns_pipeline.records.images import FoundFile, ImageState
from returns_pipeline.records.runs import RunKind, RunState
from returns_pipeline.report import write_report
from returns_pipeline.store import chunks, images, jobs, reviews, runs, trends
from returns_pipeline.store.database import utc_now

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

_SWEEP_LIMIT = 1000
#: A report of millions of rows takes minutes and renews nothing meanwhile.
_CLOSING_LEASES = 15
#: A night's run that opens later than this after it was due is called a catch-up.
_PUNCTUAL = timedelta(minutes=5)


def scan_night(pipeline: Pipeline, now: datetime | None = None) -> list[int]:
    """Scan for the newest night that was due; return its runs' ids, the same ones whoever asks how often."""
    now = now or utc_now()
    due = schedule.last_due(pipeline.settings, now)
    kind = RunKind.NIGHTLY if now - due < _PUNCTUAL else RunKind.CATCH_UP
    return scan_intakes(pipeline, schedule.night_request(due), kind)


def scan_intakes(pipeline: Pipeline, request_id: str, kind: RunKind = RunKind.NIGHTLY) -> list[int]:
    """Scan every intake with its own model; return the runs' ids.

    What is wrong with one, a missing folder or model, keeps no other from being scanned; it is raised at the
    end.
    """
    settings = pipeline.settings
    if not settings.intakes:
        return [scan(pipeline, request_id, kind=kind)]
    require_wanted(pipeline, request_id)
    opened: list[int] = []
    faults: list[PipelineError] = []
    for model, folder in settings.every_intake:
        request = schedule.request_of_intake(request_id, settings, model)
        try:
            opened.append(scan(pipeline, request, folder, kind, model))
        except PipelineError as fault:
            log.warning("intake_failed", folder=str(folder), reason=str(fault))
            faults.append(fault)
    if faults:
        raise faults[0]
    return opened


def scan(
    pipeline: Pipeline,
    request_id: str,
    directory: Path | None = None,
    kind: RunKind = RunKind.NIGHTLY,
    model: str | None = None,
) -> int:
    """Open a run with a row for every settled file of the intake; return the run's id.

    A file that is still changing is looked at once more after the settling time. Raises ConfigFault when
    the folder or the model is missing: then nothing is opened.
    """
    settings = pipeline.settings
    root = (directory or settings.incoming_dir).resolve()
    # Delivered again, it goes on with what is there, whatever has become of the folder and the model.
    run_id = runs.find_request(pipeline.db, request_id)
    if run_id is None:
        require_wanted(pipeline, request_id)
        intake.require_folder(root)
        intake.refuse_own_folders(root, settings)
        run_id = runs.open_run(pipeline.db, run_request(pipeline, request_id, kind, directory, model))
    with structlog.contextvars.bound_contextvars(run=run_id):
        log.info("scan_began", folder=str(root), kind=kind)
        began = time.time_ns()
        try:
            if root.is_dir() and not _add_settled(pipeline, run_id, root, began):
                time.sleep(max(0.0, settings.settle_seconds - (time.time_ns() - began) / 1e9))
                _add_settled(pipeline, run_id, root, time.time_ns())
        except runs.NotScanningError:
            log.info("scan_superseded")
        runs.end_scan(pipeline.db, run_id)
        log.info("scan_ended", seconds=round((time.time_ns() - began) / 1e9, 3))
    pipeline.close_if_complete(run_id)
    return run_id


def _add_settled(pipeline: Pipeline, run_id: int, root: Path, now_ns: int) -> bool:
    """Make rows, then messages, chunk by chunk; return whether every file was settled."""
    all_settled = True
    size = chunk_size(pipeline, runs.model_of(pipeline.db, run_id))

    def settled() -> Iterator[FoundFile]:
        nonlocal all_settled
        for file in intake.find_files(root):
            if intake.is_settled(file, now_ns, pipeline.settings.settle_seconds):
                yield file
            else:
                all_settled = False

    sending = True
    for files in chunking.chunked(settled(), size):
        for chunk_id in runs.add_chunks(pipeline.db, run_id, [files], intake.is_there):
            # After one failure the rest is left to the sweep: rows matter more than messages.
            sending = sending and pipeline.send(pipeline.queue.send_chunk, chunk_id, RunKind.NIGHTLY)
    return all_settled


def classify_paths(
    pipeline: Pipeline, request_id: str, paths: Iterable[str], model: str | None = None
) -> int:
    """Open an ad hoc run for named files, which stay where they are; return the run's id.

    `model` is NAME or NAME/VERSION, by default the settings' one.
    """
    files = (intake.describe(Path(path)) for path in dict.fromkeys(paths))
    return _open_whole(pipeline, request_id, RunKind.ADHOC, files, model)


def replay(pipeline: Pipeline, request_id: str, run_id: int, model: str) -> int:
    """Open an ad hoc run for the classified images of a closed run, with another model; return its id.

    The files stay where they lie now, and so do the answers that the old run gave. Raises PipelineError when
    there is no such run or it is open.
    """
    old = runs.find(pipeline.db, run_id)
    if old is None or old.state is not RunState.CLOSED:
        raise PipelineError(
            f"Run {run_id} {'is still open' if old else 'does not exist'}.",
            "`returns-pipeline runs list` shows the runs there are; replay one that is closed.",
        )
    classified = images.results(pipeline.db, run_id, ImageState.CLASSIFIED)
    # Under the very path that the database has, by which the two answers are found together.
    paths = dict.fromkeys(image.lies_at for image in classified)
    files = (intake.describe(Path(path))._replace(path=path) for path in paths)
    return _open_whole(pipeline, request_id, RunKind.ADHOC, files, model)


def retry(pipeline: Pipeline, request_id: str, run_id: int | None) -> int:
    """Open a run for the quarantined and failed images of one run, or of all; return its id.

    Their rows stay as they are; the new run has rows of its own, and its files go where its results say. An
    image that was retried before and whose file has moved on is left out.
    """
    found = (
        intake.describe(path) for path in map(Path, images.set_aside(pipeline.db, run_id)) if path.is_file()
    )
    return _open_whole(pipeline, request_id, RunKind.RETRY, found)


def _open_whole(
    pipeline: Pipeline,
    request_id: str,
    kind: RunKind,
    files: Iterable[FoundFile],
    model: str | None = None,
) -> int:
    require_wanted(pipeline, request_id)
    request = run_request(pipeline, request_id, kind, None, model)
    run_id, chunk_ids = runs.open_whole_run(
        pipeline.db,
        request,
        # Looked at before the transaction: nobody else waits for a slow disk.
        chunking.chunked(list(files), chunk_size(pipeline, request.model)),
        None if kind is RunKind.ADHOC else intake.is_there,
    )
    log.info("run_opened", run=run_id, kind=kind, chunks=len(chunk_ids))
    for chunk_id in chunk_ids:
        if not pipeline.send(pipeline.queue.send_chunk, chunk_id, kind):
            break
    pipeline.close_if_complete(run_id)
    return run_id


def close_run(pipeline: Pipeline, run_id: int) -> None:
    """Write the report of a complete run and close it; do nothing when it is not complete.

    Asserts that every image that was seen is classified, quarantined or failed.
    """
    token = runs.begin_closing(pipeline.db, run_id, _CLOSING_LEASES * pipeline.settings.lease_seconds)
    if token is None:
        return
    try:
        summary = runs.closing_summary(pipeline.db, run_id, utc_now())
        folder = pipeline.settings.report_dir / f"run-{run_id}"
        summary = write_report(summary, images.results(pipeline.db, run_id), folder)
        trends.count_labels(pipeline.db, run_id)
        trends.add_stages(pipeline.db, run_id)
        if summary.kind is not RunKind.ADHOC:
            reviews.enqueue(pipeline.db, run_id, pipeline.settings.audit_share)
        if not runs.close(pipeline.db, summary, token):
            return
    except Exception as error:
        # Ours or the world's: the sweep tries again every minute, and the log says why.
        if not isinstance(error, PipelineError):
            log.exception("closing_failed", run=run_id)
        runs.abandon_closing(pipeline.db, run_id, token)
        raise
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


def sweep(pipeline: Pipeline, now: datetime | None = None) -> None:
    """Send again what the database says is open and nobody works on. Idempotent, cheap when idle.

    Also asks for the newest night's scan when the machine was off at its time.
    """
    settings = pipeline.settings
    found = chunks.expired(pipeline.db, settings.resend_seconds, _SWEEP_LIMIT)
    # A chunk that waits behind others is not lost: only an idle queue has lost it.
    if pipeline.queue.is_idle():
        found += chunks.lost(pipeline.db, settings.resend_seconds, _SWEEP_LIMIT)
    for chunk_id, kind in found:
        pipeline.queue.send_chunk(chunk_id, kind)
    chunks.mark_sent(pipeline.db, [chunk_id for chunk_id, _ in found])
    interactive.tidy(pipeline, now or utc_now())
    for job in jobs.not_begun(pipeline.db, settings.resend_seconds):
        error = pipeline.queue.error_of(job.id)
        if error is not None:
            jobs.fail(pipeline.db, job.id, error.message if isinstance(error, PipelineError) else repr(error))
        else:
            # Sent a second time it is the same request, and so the same run.
            pipeline.queue.send_job(job)
            jobs.mark_sent(pipeline.db, job.id)
    scans = runs.interrupted_scans(pipeline.db, settings.lease_seconds)
    for request_id, directory in scans:
        pipeline.queue.send_scan(request_id, directory)
    closings = runs.to_close(pipeline.db, _CLOSING_LEASES * settings.lease_seconds)
    for run_id in closings:
        pipeline.queue.send_close(run_id)
    due = schedule.last_due(settings, now or utc_now())
    night = schedule.night_request(due)
    requests = [schedule.request_of_intake(night, settings, intake.model) for intake in settings.every_intake]
    missed = any(runs.night_is_missing(pipeline.db, request, due) for request in requests)
    if missed:
        pipeline.queue.send_night()
    if found or scans or closings or missed:
        log.info("swept", chunks=len(found), scans=len(scans), closings=len(closings), night_missed=missed)
