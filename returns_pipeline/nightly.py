"""The use-cases: scan, classify a chunk, close a run, sweep. Composes the steps; every one may run twice."""

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import structlog

from returns_pipeline import archive, chunking, imaging, intake
from returns_pipeline.classify import Classifier, to_predictions
from returns_pipeline.classify.bundle import Bundle, find_bundle
from returns_pipeline.errors import ConfigFault, FaultCode, ImageFault, TransientFault
from returns_pipeline.records import (
    Claim,
    Decoded,
    FoundFile,
    ImageState,
    Outcome,
    PendingImage,
    RunKind,
    RunRequest,
)
from returns_pipeline.report import write_report
from returns_pipeline.settings import Settings
from returns_pipeline.store import chunks, images, runs
from returns_pipeline.store.database import Database, utc_now

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

_SWEEP_LIMIT = 1000


class Queue(Protocol):
    """What the use-cases need of the message broker. Messages carry ids and nothing else."""

    def send_chunk(self, chunk_id: int, kind: RunKind) -> None:
        """Ask a worker to classify a chunk."""
        ...

    def send_close(self, run_id: int) -> None:
        """Ask for a run to be closed."""
        ...

    def send_scan(self, request_id: str, directory: Path | None) -> None:
        """Ask for a scan that was cut short to go on."""
        ...

    def is_idle(self) -> bool:
        """Whether no chunk waits to be delivered."""
        ...


@dataclass(frozen=True)
class Pipeline:
    """What the use-cases work with: opened once in each process, handed in by tests."""

    settings: Settings
    db: Database
    queue: Queue
    load_classifier: Callable[[Bundle], Classifier]
    loaded: dict[str, tuple[Bundle, Classifier]] = field(default_factory=dict)

    def model(self, name: str) -> tuple[Bundle, Classifier]:
        """Return a loaded model, `NAME/VERSION`; one stays in memory. Raises ConfigFault."""
        if name not in self.loaded:
            bundle = find_bundle(self.settings.models_dir, name)
            self.loaded.clear()
            self.loaded[name] = bundle, self.load_classifier(bundle)
        return self.loaded[name]


def scan(pipeline: Pipeline, request_id: str, directory: Path | None = None) -> int:
    """Open a nightly run with a row for every settled file of the intake; return the run's id.

    A file that is still changing is looked at once more after the settling time. Raises ConfigFault when
    the folder or the model is missing: then nothing is opened.
    """
    settings = pipeline.settings
    root = directory or settings.incoming_dir
    intake.require_folder(root)
    run_id = runs.open_run(pipeline.db, _request(pipeline, request_id, RunKind.NIGHTLY, directory))
    log.info("run_opened", run=run_id, folder=str(root))
    began = time.time_ns()
    try:
        if not _add_settled(pipeline, run_id, root, began):
            time.sleep(max(0.0, settings.settle_seconds - (time.time_ns() - began) / 1e9))
            _add_settled(pipeline, run_id, root, time.time_ns())
    except runs.NotScanningError:
        log.info("scan_superseded", run=run_id)
    runs.end_scan(pipeline.db, run_id)
    _close_if_complete(pipeline, run_id)
    return run_id


def _add_settled(pipeline: Pipeline, run_id: int, root: Path, now_ns: int) -> bool:
    """Make rows, then messages, chunk by chunk; return whether every file was settled."""
    all_settled = True

    def settled() -> Iterator[FoundFile]:
        nonlocal all_settled
        for file in intake.find_files(root):
            if intake.is_settled(file, now_ns, pipeline.settings.settle_seconds):
                yield file
            else:
                all_settled = False

    for files in chunking.chunked(settled(), pipeline.settings.chunk_size):
        chunk_id = runs.add_chunk(pipeline.db, run_id, files)
        if chunk_id is not None:
            pipeline.queue.send_chunk(chunk_id, RunKind.NIGHTLY)
    return all_settled


def classify_paths(pipeline: Pipeline, request_id: str, paths: Iterable[str]) -> int:
    """Open an ad hoc run for named files, which stay where they are; return the run's id."""
    files = (intake.describe(Path(path)) for path in dict.fromkeys(paths))
    run_id, chunk_ids = runs.open_whole_run(
        pipeline.db,
        _request(pipeline, request_id, RunKind.ADHOC, None),
        chunking.chunked(files, pipeline.settings.chunk_size),
    )
    log.info("run_opened", run=run_id, chunks=len(chunk_ids))
    for chunk_id in chunk_ids:
        pipeline.queue.send_chunk(chunk_id, RunKind.ADHOC)
    _close_if_complete(pipeline, run_id)
    return run_id


def _request(pipeline: Pipeline, request_id: str, kind: RunKind, directory: Path | None) -> RunRequest:
    bundle = find_bundle(pipeline.settings.models_dir, pipeline.settings.model)
    return RunRequest(request_id, kind, directory, bundle.ref, bundle.digest, bundle.metrics)


def _close_if_complete(pipeline: Pipeline, run_id: int) -> None:
    if runs.is_complete(pipeline.db, run_id):
        pipeline.queue.send_close(run_id)


def classify_chunk(pipeline: Pipeline, chunk_id: int) -> None:
    """Classify, store and archive one chunk; do nothing when another process has it or it is done.

    Raises TransientFault and ConfigFault after giving the chunk back: its images stay pending.
    """
    settings = pipeline.settings
    worker = f"{socket.gethostname()}:{os.getpid()}"
    claim = chunks.claim(pipeline.db, chunk_id, worker, settings.lease_seconds)
    if claim is None:
        log.info("chunk_skipped", chunk=chunk_id)
        return
    timings: dict[str, float] = {}
    try:
        if claim.images:
            _classify(pipeline, claim, timings)
        with _timed(timings, "archive"):
            moves = chunks.moves(pipeline.db, chunk_id)
            gone = [move.image_id for move in moves if archive.move(move) is archive.Moved.GONE]
        chunks.finish(pipeline.db, claim, gone, timings)
    except chunks.LeaseLostError:
        log.warning("chunk_lease_lost", run=claim.run_id, chunk=chunk_id)
        return
    except (TransientFault, ConfigFault):
        chunks.release(pipeline.db, claim)
        raise
    log.info(
        "chunk_done",
        run=claim.run_id,
        chunk=chunk_id,
        images=len(claim.images),
        **{f"{stage}_ms": round(seconds * 1000, 1) for stage, seconds in timings.items()},
    )
    _close_if_complete(pipeline, claim.run_id)


def _classify(pipeline: Pipeline, claim: Claim, timings: dict[str, float]) -> None:
    if claim.attempt > pipeline.settings.max_attempts:
        gave_up = FaultCode.GAVE_UP
        outcomes = [
            _without_answer(pipeline, claim, image, ImageState.FAILED, gave_up, gave_up.sentence)
            for image in claim.images
        ]
    else:
        bundle, classifier = pipeline.model(str(claim.model))
        outcomes = _outcomes(pipeline, claim, bundle, classifier, timings)
    with _timed(timings, "store"):
        chunks.store(pipeline.db, claim, outcomes)


def _outcomes(
    pipeline: Pipeline, claim: Claim, bundle: Bundle, classifier: Classifier, timings: dict[str, float]
) -> list[Outcome]:
    settings = pipeline.settings
    limits = imaging.Limits(settings.max_file_bytes, settings.max_pixels)
    pixels = np.empty((len(claim.images), *bundle.input.shape), dtype=np.uint8)
    decoded: list[tuple[PendingImage, Decoded]] = []
    outcomes: list[Outcome] = []
    for image in claim.images:
        try:
            with _timed(timings, "read"):
                data = imaging.read(image.path, image.size, image.mtime_ns, limits)
            with _timed(timings, "decode"):
                answer = imaging.decode(data, bundle.input, limits)
        except ImageFault as fault:
            outcomes.append(
                _without_answer(pipeline, claim, image, ImageState.QUARANTINED, fault.code, fault.detail)
            )
            continue
        pixels[len(decoded)] = answer.pixels
        decoded.append((image, answer))
    with _timed(timings, "predict"):
        scores = classifier.predict(pixels[: len(decoded)])
        predictions = to_predictions(bundle, scores, settings.review_threshold)
    for (image, answer), prediction in zip(decoded, predictions, strict=True):
        outcomes.append(
            Outcome(
                image_id=image.id,
                state=ImageState.CLASSIFIED,
                facts=answer.facts,
                prediction=prediction,
                destination=_destination(settings.archive_dir, claim, image),
            )
        )
    return outcomes


def _without_answer(
    pipeline: Pipeline, claim: Claim, image: PendingImage, state: ImageState, code: FaultCode, detail: str
) -> Outcome:
    # A file that is not there, or not the one that was seen, is not ours to move.
    not_ours = code in {FaultCode.VANISHED, FaultCode.CHANGED}
    target = None if not_ours else _destination(pipeline.settings.quarantine_dir, claim, image)
    return Outcome(image_id=image.id, state=state, code=code, detail=detail, destination=target)


def _destination(root: Path, claim: Claim, image: PendingImage) -> Path | None:
    if claim.kind is RunKind.ADHOC:
        return None
    return archive.destination(root, claim.run_id, claim.chunk_id, image.id, image.path.name)


def close_run(pipeline: Pipeline, run_id: int) -> None:
    """Write the report of a complete run and close it; do nothing when it is not complete.

    Asserts that every image that was seen is classified, quarantined or failed.
    """
    if not runs.begin_closing(pipeline.db, run_id, pipeline.settings.lease_seconds):
        return
    try:
        summary = runs.closing_summary(pipeline.db, run_id, utc_now())
        folder = pipeline.settings.report_dir / f"run-{run_id}"
        summary = write_report(summary, images.results(pipeline.db, run_id), folder)
        runs.close(pipeline.db, summary)
    except TransientFault:
        runs.abandon_closing(pipeline.db, run_id)
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


def sweep(pipeline: Pipeline) -> None:
    """Send again what the database says is open and nobody works on. Idempotent, cheap when idle."""
    settings = pipeline.settings
    found = chunks.expired(pipeline.db, _SWEEP_LIMIT)
    # A chunk that waits behind others is not lost: only an idle queue has lost it.
    if pipeline.queue.is_idle():
        found += chunks.lost(pipeline.db, settings.resend_seconds, _SWEEP_LIMIT)
    for chunk_id, kind in found:
        pipeline.queue.send_chunk(chunk_id, kind)
    chunks.mark_sent(pipeline.db, [chunk_id for chunk_id, _ in found])
    scans = runs.interrupted_scans(pipeline.db, settings.lease_seconds)
    for request_id, directory in scans:
        pipeline.queue.send_scan(request_id, directory)
    closings = runs.to_close(pipeline.db, settings.lease_seconds)
    for run_id in closings:
        pipeline.queue.send_close(run_id)
    if found or scans or closings:
        log.info("swept", chunks=len(found), scans=len(scans), closings=len(closings))


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - began
