"""The use-cases around the work on chunks: scan, ad hoc, retry, close, sweep. Every one may run twice."""

import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from returns_pipeline.errors import ConflictError, NotFoundError, PipelineError
from returns_pipeline.photos import chunking, intake_rules
from returns_pipeline.records.images import FoundFile, ImageState
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.runs import RunKind, RunRequest, RunState
from returns_pipeline.report import write_report
from returns_pipeline.store import chunks, images, jobs, reviews, runs, trends
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import models, schedule
from returns_pipeline.usecases.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: A report of millions of rows takes minutes and renews nothing meanwhile.
CLOSING_LEASES = 15
#: A night's run that opens later than this after it was due is called a catch-up.
_PUNCTUAL = timedelta(minutes=5)


def run_request(
    context: Context, request_id: str, kind: RunKind, directory: Path | None, model: str | None = None
) -> RunRequest:
    """Return the request for a run with `model`, NAME or NAME/VERSION, by default the settings' one.

    Raises ConfigFault when that model is not there.
    """
    bundle = models.choose(context.settings, context.db, model)
    return RunRequest(request_id, kind, directory, bundle.ref, bundle.digest, bundle.metrics)


def require_wanted(context: Context, request_id: str) -> None:
    """Raise ConflictError for a request that somebody has cancelled meanwhile."""
    if jobs.is_cancelled(context.db, request_id):
        raise ConflictError("This request was cancelled.", "Ask for it again if it is wanted after all.")


def chunk_size(context: Context, model: ModelRef) -> int:
    """Return the most images that one chunk of a model's run should have."""
    settings = context.settings
    if settings.chunk_size:
        return settings.chunk_size
    return chunking.size_for(chunks.recent_cost(context.db, model), settings.chunk_seconds)


def scan_night(context: Context, now: datetime | None = None) -> list[int]:
    """Scan for the newest night that was due; return its runs' ids, the same ones whoever asks how often."""
    now = now or utc_now()
    due = schedule.last_due(context.settings, now)
    kind = RunKind.NIGHTLY if now - due < _PUNCTUAL else RunKind.CATCH_UP
    return scan_intakes(context, schedule.night_request(due), kind)


def scan_intakes(context: Context, request_id: str, kind: RunKind = RunKind.SCAN) -> list[int]:
    """Scan every intake with its own model; return the runs' ids.

    What is wrong with one, a missing folder or model, keeps no other from being scanned; it is raised at the
    end.
    """
    settings = context.settings
    if not settings.intakes:
        return [scan(context, request_id, kind=kind)]
    require_wanted(context, request_id)
    opened: list[int] = []
    faults: list[PipelineError] = []
    for model, folder in settings.every_intake:
        request = schedule.request_of_intake(request_id, settings, model)
        try:
            opened.append(scan(context, request, folder, kind, model))
        except PipelineError as fault:
            log.warning("intake_failed", folder=str(folder), reason=str(fault))
            faults.append(fault)
    if faults:
        raise faults[0]
    return opened


def scan(
    context: Context,
    request_id: str,
    directory: Path | None = None,
    kind: RunKind = RunKind.SCAN,
    model: str | None = None,
) -> int:
    """Open a run with a row for every settled file of the intake; return the run's id.

    A file that is still changing is looked at once more after the settling time. Raises ConfigFault when
    the folder or the model is missing: then nothing is opened.
    """
    settings = context.settings
    root = (directory or settings.incoming_dir).resolve()
    # Delivered again, it goes on with what is there, whatever has become of the folder and the model.
    run_id = runs.find_request(context.db, request_id)
    if run_id is None:
        require_wanted(context, request_id)
        context.photos.require_folder(str(root))
        intake_rules.refuse_own_folders(root, settings)
        run_id = runs.open_run(context.db, run_request(context, request_id, kind, directory, model))
    with structlog.contextvars.bound_contextvars(run=run_id):
        log.info("scan_began", folder=str(root), kind=kind)
        began = time.time_ns()
        try:
            if context.photos.has_folder(str(root)) and not _add_settled(context, run_id, root, began):
                time.sleep(max(0.0, settings.settle_seconds - (time.time_ns() - began) / 1e9))
                _add_settled(context, run_id, root, time.time_ns())
        except runs.NotScanningError:
            log.info("scan_superseded")
        runs.end_scan(context.db, run_id)
        log.info("scan_ended", seconds=round((time.time_ns() - began) / 1e9, 3))
    context.close_if_complete(run_id)
    return run_id


def _add_settled(context: Context, run_id: int, root: Path, now_ns: int) -> bool:
    """Make rows, then messages, chunk by chunk; return whether every file was settled."""
    all_settled = True
    size = chunk_size(context, runs.model_of(context.db, run_id))

    def settled() -> Iterator[FoundFile]:
        nonlocal all_settled
        for file in context.photos.find(str(root)):
            if intake_rules.is_settled(file, now_ns, context.settings.settle_seconds):
                yield file
            else:
                all_settled = False

    sending = True
    for files in chunking.chunked(settled(), size):
        for chunk_id in runs.add_chunks(context.db, run_id, [files], context.photos.is_unchanged):
            # After one failure the rest is left to the sweep: rows matter more than messages.
            sending = sending and context.send_chunk(chunk_id, RunKind.SCAN)
    return all_settled


def classify_paths(context: Context, request_id: str, paths: Iterable[str], model: str | None = None) -> int:
    """Open an ad hoc run for named files, which stay where they are; return the run's id.

    `model` is NAME or NAME/VERSION, by default the settings' one.
    """
    files = map(context.photos.describe, dict.fromkeys(paths))
    return _open_whole(context, request_id, RunKind.ADHOC, files, model)


def replay(context: Context, request_id: str, run_id: int, model: str) -> int:
    """Open an ad hoc run for the classified images of a closed run, with another model; return its id.

    The files stay where they are now, and so do the predictions of the old run. Raises NotFoundError for a
    run that does not exist, ConflictError for an open one.
    """
    old = runs.find(context.db, run_id)
    if old is None:
        raise NotFoundError(
            "Run {run_id} does not exist.", "`returns-pipeline runs list` shows every run.", run_id=run_id
        )
    if old.state is not RunState.CLOSED:
        raise ConflictError("Run {run_id} is still open.", "Replay it when it is closed.", run_id=run_id)
    classified = images.results(context.db, run_id, ImageState.CLASSIFIED)
    # Under the very path that the database has, by which the two answers are found together.
    paths = dict.fromkeys(image.lies_at for image in classified)
    files = (context.photos.describe(path)._replace(path=path) for path in paths)
    return _open_whole(context, request_id, RunKind.ADHOC, files, model)


def retry(context: Context, request_id: str, run_id: int | None) -> int:
    """Open a run for the quarantined and failed images of one run, or of all; return its id.

    Their rows stay as they are; the new run has rows of its own, and its files go where its results say. An
    image that was retried before and whose file has moved on is left out.
    """
    described = map(context.photos.describe, images.set_aside(context.db, run_id))
    found = (file for file in described if file.identity)
    return _open_whole(context, request_id, RunKind.RETRY, found)


def _open_whole(
    context: Context,
    request_id: str,
    kind: RunKind,
    files: Iterable[FoundFile],
    model: str | None = None,
) -> int:
    require_wanted(context, request_id)
    request = run_request(context, request_id, kind, None, model)
    run_id, chunk_ids = runs.open_whole_run(
        context.db,
        request,
        # Looked at before the transaction: nobody else waits for a slow disk.
        chunking.chunked(list(files), chunk_size(context, request.model)),
        None if kind is RunKind.ADHOC else context.photos.is_unchanged,
    )
    log.info("run_opened", run=run_id, kind=kind, chunks=len(chunk_ids))
    for chunk_id in chunk_ids:
        if not context.send_chunk(chunk_id, kind):
            break
    context.close_if_complete(run_id)
    return run_id


def close_run(context: Context, run_id: int) -> None:
    """Write the report of a complete run and close it; do nothing when it is not complete.

    Asserts that every image that was seen is classified, quarantined or failed.
    """
    token = runs.begin_closing(context.db, run_id, CLOSING_LEASES * context.settings.lease_seconds)
    if token is None:
        return
    try:
        summary = runs.closing_summary(context.db, run_id, utc_now())
        folder = context.settings.report_dir / f"run-{run_id}"
        summary = write_report(summary, images.results(context.db, run_id), folder)
        trends.count_labels(context.db, run_id)
        trends.add_stages(context.db, run_id)
        if summary.kind is not RunKind.ADHOC:
            reviews.enqueue(context.db, run_id, context.settings.audit_share)
        if not runs.close(context.db, summary, token):
            return
    except Exception as error:
        # Ours or the world's: the sweep tries again every minute, and the log says why.
        if not isinstance(error, PipelineError):
            log.exception("closing_failed", run=run_id)
        runs.abandon_closing(context.db, run_id, token)
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
