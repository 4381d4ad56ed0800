"""The work on one chunk: claim, read, decode, predict, store, archive, finish. May be cut short anywhere."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import structlog

from returns_pipeline.classify.confidence import review_thresholds
from returns_pipeline.classify.embedding import embeddings
from returns_pipeline.classify.predictions import TOP, to_predictions
from returns_pipeline.errors import ConfigFault, FaultCode, PipelineError
from returns_pipeline.photos import destinations
from returns_pipeline.photos.decoding.batches import Decoder
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.records.chunks import Claim
from returns_pipeline.records.images import ImageState, Move, Outcome, PendingImage
from returns_pipeline.records.predictions import Embedded
from returns_pipeline.records.runs import RunKind
from returns_pipeline.store import chunks
from returns_pipeline.usecases import shadow
from returns_pipeline.usecases.context import Context

if TYPE_CHECKING:
    from numpy.typing import NDArray

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

Timings = dict[str, float]


class _Work(NamedTuple):
    """What became of a chunk's images, and their embeddings where others like them will be looked for."""

    outcomes: list[Outcome]
    embedded: Embedded | None = None


_CONFIG_PAUSE_SECONDS = 2.0


class _Renewal:
    """Renews a chunk's lease, but only by progress: a process that hangs loses its chunk to another."""

    def __init__(self, context: Context, claim: Claim) -> None:
        """Begin with the lease as it is."""
        self._pipeline, self._claim = context, claim
        self._seconds = context.settings.lease_seconds
        self._next = time.monotonic() + self._seconds / 3

    def progress(self) -> None:
        """Renew when a third of the lease is over. Raises LeaseLostError when the chunk is another's."""
        if time.monotonic() > self._next:
            chunks.renew(self._pipeline.db, self._claim, self._seconds)
            self._next = time.monotonic() + self._seconds / 3


def classify_chunk(context: Context, chunk_id: int, owner: str) -> None:
    """Classify, store and archive one chunk; do nothing when another process has it or it is done.

    `owner` is the message that asks: delivered again after its worker died, it takes its own lease over at
    once. A chunk whose worker died is split in halves until the image that does it stands alone.

    Raises PipelineError after giving the chunk back: its images stay pending.
    """
    worker = f"{socket.gethostname()}:{os.getpid()}"
    claim = chunks.claim(context.db, chunk_id, owner, worker, context.settings.lease_seconds)
    if claim is None:
        log.info("chunk_skipped", chunk=chunk_id)
        return
    began = time.monotonic()
    with structlog.contextvars.bound_contextvars(run=claim.run_id, chunk=chunk_id, attempt=claim.attempt):
        if claim.attempt > 1 and len(claim.images) > 1:
            _split(context, claim)
            return
        try:
            outcomes = _work(context, claim)
        except chunks.LeaseLostError:
            log.warning("chunk_lease_lost")
            return
        except PipelineError as fault:
            # The world's or the operator's, not this chunk's.
            chunks.release(context.db, claim, str(fault), counts=False)
            if isinstance(fault, ConfigFault):
                # A worker without its model must not drain the queue faster than the others work.
                time.sleep(_CONFIG_PAUSE_SECONDS)
            raise
        except Exception as error:
            # An error of ours: tried again in halves, until the image that meets it stands alone.
            log.exception("chunk_error")
            chunks.release(context.db, claim, repr(error), counts=True)
            context.send_chunk(chunk_id, claim.kind)
            return
        context.close_if_complete(claim.run_id)
        # The chunk is done: a shadow that ends this process ends nothing else.
        shadow.answer_beside(context, claim, outcomes, began)


def _split(context: Context, claim: Claim) -> None:
    other = chunks.split(context.db, claim)
    log.warning("chunk_split", images=len(claim.images), other=other)
    for chunk_id in (claim.chunk_id, other):
        context.send_chunk(chunk_id, claim.kind)


def _work(context: Context, claim: Claim) -> list[Outcome]:
    timings: Timings = {}
    outcomes: list[Outcome] = []
    if claim.images:
        given_up = claim.attempt > context.settings.max_attempts
        work = _give_up(context, claim) if given_up else _classify(context, claim, timings)
        outcomes = work.outcomes
        with _timed(timings, "store"):
            chunks.store(context.db, claim, outcomes, work.embedded)
    with _timed(timings, "archive"):
        gone = context.photos.move(_moves(context, claim, outcomes), _Renewal(context, claim).progress)
    chunks.finish(context.db, claim, gone, timings)
    milliseconds = {f"{stage}_ms": round(seconds * 1000, 1) for stage, seconds in timings.items()}
    log.info("chunk_done", images=len(claim.images), **milliseconds)
    return outcomes


def _moves(context: Context, claim: Claim, outcomes: list[Outcome]) -> list[Move]:
    """Return the chunk's moves; asks the database only when an earlier attempt has stored some of them."""
    if len(outcomes) < claim.size:
        return chunks.moves(context.db, claim.chunk_id)
    images = {image.id: image for image in claim.images}
    return [
        Move(image.id, image.path, outcome.destination, image.identity)
        for outcome in outcomes
        if outcome.destination and (image := images[outcome.image_id])
    ]


def _give_up(context: Context, claim: Claim) -> _Work:
    """Set aside an image that stands alone: it killed its workers, or an error of ours met it each time."""
    if claim.error:
        state, code = ImageState.FAILED, FaultCode.GAVE_UP
    else:
        state, code = ImageState.QUARANTINED, FaultCode.KILLED_WORKER
    detail = f"{code.sentence} {claim.error or ''}".strip()
    return _Work([_without_answer(context, claim, image, state, code, detail) for image in claim.images])


def _classify(context: Context, claim: Claim, timings: Timings) -> _Work:
    settings = context.settings
    bundle, classifier = context.model(str(claim.model), claim.model_sha256)
    thresholds = review_thresholds(bundle, settings.review_threshold)
    decoder = Decoder(context.photos, bundle.input, Limits.of(settings), settings.image_seconds)
    # Whoever asks over HTTP gets every label's probability.
    kept = len(bundle.labels) if claim.kind is RunKind.API else TOP
    lease = _Renewal(context, claim)
    folder = _folder(settings.archive_dir, claim)
    outcomes: list[Outcome] = []
    ids: list[int] = []
    vectors: list[NDArray[np.int8]] = []
    for batch in decoder.batches(claim.images, classifier.batch, settings.decode_threads, lease.progress):
        for image, (code, detail) in batch.failed:
            outcomes.append(_without_answer(context, claim, image, ImageState.QUARANTINED, code, detail))
        with _timed(timings, "predict"):
            scores = classifier.predict(batch.pixels)
            predictions = to_predictions(bundle, scores, thresholds, kept)
            if claim.kind.is_of_intake and scores.features is not None:
                ids += [image.id for image in batch.images]
                vectors.append(embeddings(scores.features))
        for image, facts, prediction in zip(batch.images, batch.facts, predictions, strict=True):
            target = destinations.destination(folder, image.id, image.path) if folder else None
            outcomes.append(Outcome(image.id, ImageState.CLASSIFIED, facts, prediction, None, None, target))
    # Threads work side by side: what counts is what the process took.
    side_by_side = max(1, settings.decode_threads)
    timings["read"] = decoder.read_seconds / side_by_side
    timings["decode"] = decoder.decode_seconds / side_by_side
    if not ids:
        return _Work(outcomes)
    return _Work(outcomes, Embedded(np.array(ids, "<i8").tobytes(), np.concatenate(vectors).tobytes()))


def _without_answer(
    context: Context, claim: Claim, image: PendingImage, state: ImageState, code: FaultCode, detail: str
) -> Outcome:
    # A file that is not there, or not the one that was seen, is not ours to move.
    not_ours = code in {FaultCode.VANISHED, FaultCode.CHANGED}
    folder = None if not_ours else _folder(context.settings.quarantine_dir, claim)
    target = destinations.destination(folder, image.id, image.path) if folder else None
    return Outcome(image_id=image.id, state=state, code=code, detail=detail, destination=target)


def _folder(root: Path, claim: Claim) -> str | None:
    """Return where the chunk's files go under `root`; None when they stay where they are."""
    if claim.kind is RunKind.ADHOC:
        return None
    return destinations.destination_folder(str(root), claim.run_id, claim.chunk_id)


@contextmanager
def _timed(timings: Timings, stage: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - began
