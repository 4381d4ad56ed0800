"""The work on one chunk: claim, read, decode, predict, store, archive, finish. May be cut short anywhere."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
import structlog

from returns_pipeline import archive, imaging
from returns_pipeline.classify import to_predictions
from returns_pipeline.errors import ConfigFault, FaultCode, ImageFault, PipelineError
from returns_pipeline.pipeline import Pipeline
from returns_pipeline.records import (
    Claim,
    Decoded,
    ImageInput,
    ImageState,
    Move,
    Outcome,
    PendingImage,
    RunKind,
)
from returns_pipeline.store import chunks

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

Timings = dict[str, float]

_CONFIG_PAUSE_SECONDS = 2.0


class _Renewal:
    """Renews a chunk's lease, but only by progress: a process that hangs loses its chunk to another."""

    def __init__(self, pipeline: Pipeline, claim: Claim) -> None:
        """Begin with the lease as it is."""
        self._pipeline, self._claim = pipeline, claim
        self._seconds = pipeline.settings.lease_seconds
        self._next = time.monotonic() + self._seconds / 3

    def progress(self) -> None:
        """Renew when a third of the lease is over. Raises LeaseLostError when the chunk is another's."""
        if time.monotonic() > self._next:
            chunks.renew(self._pipeline.db, self._claim, self._seconds)
            self._next = time.monotonic() + self._seconds / 3


def classify_chunk(pipeline: Pipeline, chunk_id: int, owner: str) -> None:
    """Classify, store and archive one chunk; do nothing when another process has it or it is done.

    `owner` is the message that asks: delivered again after its worker died, it takes its own lease over at
    once. A chunk whose worker died is split in halves until the image that does it stands alone.

    Raises PipelineError after giving the chunk back: its images stay pending.
    """
    worker = f"{socket.gethostname()}:{os.getpid()}"
    claim = chunks.claim(pipeline.db, chunk_id, owner, worker, pipeline.settings.lease_seconds)
    if claim is None:
        log.info("chunk_skipped", chunk=chunk_id)
        return
    with structlog.contextvars.bound_contextvars(run=claim.run_id, chunk=chunk_id, attempt=claim.attempt):
        if claim.attempt > 1 and len(claim.images) > 1:
            _split(pipeline, claim)
            return
        try:
            _work(pipeline, claim)
        except chunks.LeaseLostError:
            log.warning("chunk_lease_lost")
            return
        except PipelineError as fault:
            # The world's or the operator's, not this chunk's.
            chunks.release(pipeline.db, claim, str(fault), counts=False)
            if isinstance(fault, ConfigFault):
                # A worker without its model must not drain the queue faster than the others work.
                time.sleep(_CONFIG_PAUSE_SECONDS)
            raise
        except Exception as error:
            # An error of ours: tried again in halves, until the image that meets it stands alone.
            log.exception("chunk_error")
            chunks.release(pipeline.db, claim, repr(error), counts=True)
            pipeline.send(pipeline.queue.send_chunk, chunk_id, claim.kind)
            return
    pipeline.close_if_complete(claim.run_id)


def _split(pipeline: Pipeline, claim: Claim) -> None:
    other = chunks.split(pipeline.db, claim)
    log.warning("chunk_split", images=len(claim.images), other=other)
    for chunk_id in (claim.chunk_id, other):
        pipeline.send(pipeline.queue.send_chunk, chunk_id, claim.kind)


def _work(pipeline: Pipeline, claim: Claim) -> None:
    timings: Timings = {}
    outcomes: list[Outcome] = []
    if claim.images:
        given_up = claim.attempt > pipeline.settings.max_attempts
        outcomes = _give_up(pipeline, claim) if given_up else _classify(pipeline, claim, timings)
        with _timed(timings, "store"):
            chunks.store(pipeline.db, claim, outcomes)
    with _timed(timings, "archive"):
        gone = _archive(_moves(pipeline, claim, outcomes), _Renewal(pipeline, claim))
    chunks.finish(pipeline.db, claim, gone, timings)
    milliseconds = {f"{stage}_ms": round(seconds * 1000, 1) for stage, seconds in timings.items()}
    log.info("chunk_done", images=len(claim.images), **milliseconds)


def _archive(moves: list[Move], lease: _Renewal) -> list[int]:
    """Move what can be moved, and make it last; return the images whose file is gone.

    Raises the first fault after all were tried: one file that cannot be moved holds up no other.
    """
    gone: list[int] = []
    faults: list[PipelineError] = []
    folders: set[Path] = set()
    for move in moves:
        lease.progress()
        try:
            if archive.move(move):
                folders.add(move.destination.parent)
            else:
                gone.append(move.image_id)
        except PipelineError as fault:
            faults.append(fault)
    if faults:
        raise faults[0]
    archive.sync(folders)
    return gone


def _moves(pipeline: Pipeline, claim: Claim, outcomes: list[Outcome]) -> list[Move]:
    """Return the chunk's moves; asks the database only when an earlier attempt has stored some of them."""
    if len(outcomes) < claim.size:
        return chunks.moves(pipeline.db, claim.chunk_id)
    images = {image.id: image for image in claim.images}
    return [
        Move(image.id, image.path, outcome.destination, image.size, image.mtime_ns)
        for outcome in outcomes
        if outcome.destination and (image := images[outcome.image_id])
    ]


def _give_up(pipeline: Pipeline, claim: Claim) -> list[Outcome]:
    """Set aside an image that stands alone: it killed its workers, or an error of ours met it each time."""
    if claim.error:
        state, code = ImageState.FAILED, FaultCode.GAVE_UP
    else:
        state, code = ImageState.QUARANTINED, FaultCode.KILLED_WORKER
    detail = f"{code.sentence} {claim.error or ''}".strip()
    return [_without_answer(pipeline, claim, image, state, code, detail) for image in claim.images]


def _classify(pipeline: Pipeline, claim: Claim, timings: Timings) -> list[Outcome]:
    bundle, classifier = pipeline.model(str(claim.model), claim.model_sha256)
    pixels = np.empty((len(claim.images), *bundle.input.shape), dtype=np.uint8)
    decoded: list[tuple[PendingImage, Decoded]] = []
    outcomes: list[Outcome] = []
    lease = _Renewal(pipeline, claim)
    for image in claim.images:
        lease.progress()
        try:
            answer = _decode(pipeline, image, bundle.input, timings)
        except ImageFault as fault:
            outcomes.append(
                _without_answer(pipeline, claim, image, ImageState.QUARANTINED, fault.code, fault.detail)
            )
        else:
            pixels[len(decoded)] = answer.pixels
            decoded.append((image, answer))
    with _timed(timings, "predict"):
        scores = classifier.predict(pixels[: len(decoded)])
        predictions = to_predictions(bundle, scores, pipeline.settings.review_threshold)
    for (image, answer), prediction in zip(decoded, predictions, strict=True):
        outcomes.append(
            Outcome(
                image_id=image.id,
                state=ImageState.CLASSIFIED,
                facts=answer.facts,
                prediction=prediction,
                destination=_destination(pipeline.settings.archive_dir, claim, image),
            )
        )
    return outcomes


def _decode(pipeline: Pipeline, image: PendingImage, want: ImageInput, timings: Timings) -> Decoded:
    settings = pipeline.settings
    limits = imaging.Limits(settings.max_file_bytes, settings.max_pixels)
    # The time limit is the decoder's: a disk that is slow is not the image's fault.
    with _timed(timings, "read"):
        data = imaging.read(image.path, image.size, image.mtime_ns, limits)
    with _timed(timings, "decode"), _at_most(settings.image_seconds):
        return imaging.decode(data, want, limits)


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


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise ImageFault timed_out when the body takes longer. A decoder that never returns to Python is not
    reached: the chunk's time limit ends its process, and the chunk is split.
    """  # noqa: D205 - one thought
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGALRM, _time_is_up)
    # Again and again: a decoder may swallow the first one.
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _time_is_up(_signal: int, _frame: FrameType | None) -> None:
    raise ImageFault(FaultCode.TIMED_OUT)


@contextmanager
def _timed(timings: Timings, stage: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - began
