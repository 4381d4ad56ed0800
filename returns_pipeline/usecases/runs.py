"""Opens runs: scans of intakes, ad hoc files, replays, retries. Every use case may run twice."""

import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from itertools import chain
from pathlib import Path

import structlog

from returns_pipeline import tracing
from returns_pipeline.errors import ConflictError, PipelineError
from returns_pipeline.photos import chunking, intake_rules
from returns_pipeline.photos.settling import Settling
from returns_pipeline.records.images import FoundFile, ImageState
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.places import folder_of
from returns_pipeline.records.runs import RunKind, RunRequest, RunState
from returns_pipeline.store import costs, images, jobs, nights, outbox, runs
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import causes, feeds, intakes, manifests, models, schedule
from returns_pipeline.usecases.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")


def run_request(
    context: Context, request_id: str, kind: RunKind, directory: Path | None, model: str | None = None
) -> RunRequest:
    """Return the request for a run with `model`, NAME or NAME/VERSION, by default the settings' model.

    Raises ConfigFault if that model is missing.
    """
    bundle = models.choose(context.settings, context.db, model)
    return RunRequest(request_id, kind, directory, bundle.ref, bundle.digest, bundle.metrics)


def require_not_cancelled(context: Context, request_id: str) -> None:
    """Raise ConflictError if the request is a job that was cancelled."""
    if jobs.is_cancelled(context.db, request_id):
        raise ConflictError("This request was cancelled.", "Retry the job if the run is needed after all.")


def chunk_size(context: Context, model: ModelRef) -> int:
    """Return how many images a chunk of the model's run should have at most."""
    settings = context.settings
    if settings.chunk_size:
        return settings.chunk_size
    return chunking.size_for(costs.of_night(context.db, model), settings.chunk_seconds)


def scan_on_request(
    context: Context, request_id: str, directory: str | None = None, scheduled: bool = False
) -> list[int]:
    """Scan `directory`, or every intake; with `scheduled`, for the newest night. Return the runs' ids."""
    if scheduled:
        return scan_night(context)
    if directory:
        return [scan(context, request_id, folder_of(directory))]
    return scan_intakes(context, request_id)


def scan_night(context: Context, now: datetime | None = None) -> list[int]:
    """Scan for the newest night that was due; return its runs' ids, the same at each call for that night."""
    now = now or utc_now()
    nights.release_future(context.db)
    manifests.take_dropped(context)
    due = schedule.last_due(context.settings, now)
    kind = RunKind.NIGHTLY if now - due < schedule.PUNCTUAL else RunKind.CATCH_UP
    return scan_intakes(context, schedule.night_request(due), kind)


def scan_intakes(context: Context, request_id: str, kind: RunKind = RunKind.SCAN) -> list[int]:
    """Scan every intake with its own model; return the runs' ids.

    An intake that fails, for example because its folder or model is missing, does not stop the others. The
    first such error is raised at the end.
    """
    settings = context.settings
    if not settings.intakes:
        return [scan(context, request_id, kind=kind)]
    require_not_cancelled(context, request_id)
    opened: list[int] = []
    faults: list[PipelineError] = []
    feeds.fetch_before_scan(context)
    for model, folder, _ in settings.every_intake:
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

    Files that are too young are examined again after the settling time. Raises ConfigFault if the folder or
    the model is missing, and opens no run then.
    """
    settings = context.settings
    root = (directory or settings.incoming_dir).resolve()
    # A message that is delivered again continues its run, even if the folder or the model is gone by now.
    run_id = runs.find_request(context.db, request_id)
    if run_id is None:
        require_not_cancelled(context, request_id)
        context.photos.require_folder(str(root))
        intake_rules.refuse_own_folders(root, settings)
        run_id = runs.open_run(context.db, run_request(context, request_id, kind, directory, model))
    with structlog.contextvars.bound_contextvars(run=run_id), tracing.span("scan", run=run_id):
        log.info("scan_began", folder=str(root), kind=kind)
        began = time.monotonic()
        settling = Settling(
            context.photos,
            str(root),
            intake_rules.SkipRule(settings.skip_patterns),
            settings.settle_seconds,
            lambda seconds: _pause(context, run_id, seconds),
        )
        try:
            if context.photos.has_folder(str(root)):
                _add_chunks(context, run_id, settling)
        except runs.NotScanningError:
            log.info("scan_superseded")
        file_system = context.photos.file_system(str(root))
        runs.end_scan(context.db, run_id, settling.left, root, file_system)
        seconds = round(time.monotonic() - began, 3)
        log.info("scan_ended", **asdict(settling.left), seconds=seconds)
        is_of_feed = intakes.is_of_feed(settings, root)
        if not is_of_feed and (fault := intakes.emptiness(context.db, root)):
            log.warning("intake_empty", reason=str(fault))
            with context.spoken():
                notice = causes.empty_intake(run_id, root, fault)
            outbox.add_alone(context.db, [notice])
    context.close_if_complete(run_id)
    return run_id


def _add_chunks(context: Context, run_id: int, settling: Settling) -> None:
    """Insert the rows of each chunk, then send its message. Settled files do not wait for the others."""
    size = chunk_size(context, runs.model_of(context.db, run_id))
    sending = True
    for files in chain(chunking.chunked(settling.old(), size), chunking.chunked(settling.young(), size)):
        added = runs.add_chunks(context.db, run_id, [files], context.photos.unchanged)
        # After one failure, the sweep sends the rest: a scan must not wait for the broker at every chunk.
        sending = sending and context.send_chunks(added, RunKind.SCAN)


def _pause(context: Context, run_id: int, seconds: float) -> None:
    """Wait, and show the sweep meanwhile that the scan is alive.

    Raises NotScanningError if the run takes no more files.
    """
    end = time.monotonic() + seconds
    while (rest := end - time.monotonic()) > 0:
        time.sleep(min(rest, context.settings.lease_seconds / 3))
        runs.touch(context.db, run_id)


def classify_paths(context: Context, request_id: str, paths: Iterable[str], model: str | None = None) -> int:
    """Open an ad hoc run for named files, which stay where they are; return the run's id.

    `model` is NAME or NAME/VERSION, by default the settings' model.
    """
    files = map(context.photos.describe, dict.fromkeys(paths))
    return _open_complete(context, request_id, RunKind.ADHOC, files, model)


def replay(context: Context, request_id: str, run_id: int, model: str) -> int:
    """Open an ad hoc run for the classified images of a closed run, with another model; return its id.

    Files are not moved, and the old run's predictions are kept. Raises NotFoundError for a run that does not
    exist, ConflictError for an open one.
    """
    old = runs.existing(context.db, run_id)
    if old.state is not RunState.CLOSED:
        raise ConflictError("Run {run_id} is still open.", "Replay it when it is closed.", run_id=run_id)
    classified = images.results(context.db, run_id, ImageState.CLASSIFIED)
    # With the same path as in the database, by which old and new predictions are paired.
    paths = dict.fromkeys(image.lies_at for image in classified if image.has_photo)
    files = (context.photos.describe(path)._replace(path=path) for path in paths)
    return _open_complete(context, request_id, RunKind.ADHOC, files, model)


def retry(context: Context, request_id: str, run_id: int | None = None) -> int:
    """Open a run for the quarantined and failed images of one run, or of all; return its id.

    The old rows stay as they are. The new run has rows of its own, and moves its files by its own results. An
    image whose file an earlier retry has moved is left out.
    """
    described = map(context.photos.describe, images.paths_to_retry(context.db, run_id))
    found = (file for file in described if file.identity)
    return _open_complete(context, request_id, RunKind.RETRY, found)


def _open_complete(
    context: Context,
    request_id: str,
    kind: RunKind,
    files: Iterable[FoundFile],
    model: str | None = None,
) -> int:
    """Open a run with all its chunks in one transaction, send them, and return the run's id."""
    require_not_cancelled(context, request_id)
    request = run_request(context, request_id, kind, None, model)
    run_id, chunk_ids = runs.open_complete_run(
        context.db,
        request,
        # As a list, so that a slow disk is read before the transaction and not inside it.
        chunking.chunked(list(files), chunk_size(context, request.model)),
        None if kind is RunKind.ADHOC else context.photos.unchanged,
    )
    log.info("run_opened", run=run_id, kind=kind, chunks=len(chunk_ids))
    context.send_chunks(chunk_ids, kind)
    context.close_if_complete(run_id)
    return run_id
