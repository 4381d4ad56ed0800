"""Processes one chunk: claim, read, decode, predict, store, archive, finish. It may be interrupted anywhere.

`store.chunks.claim` decides whether a chunk may be claimed.
"""

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray

from returns_pipeline import tracing
from returns_pipeline.classify.confidence import review_thresholds
from returns_pipeline.classify.embedding import embeddings
from returns_pipeline.classify.predictions import TOP, to_predictions
from returns_pipeline.errors import ConfigFault, FaultCode, PipelineError
from returns_pipeline.photos import destinations
from returns_pipeline.photos.decoding.batches import Decoder
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.likeness.thumbnails import is_large_enough, thumbnails
from returns_pipeline.photos.source import ImmovableFault, Reader
from returns_pipeline.records.chunks import Claim
from returns_pipeline.records.images import ImageState, Move, Outcome, PendingImage
from returns_pipeline.records.likeness import Uncompared
from returns_pipeline.records.predictions import UNFAMILIAR_DETAIL, Decision, Embedded
from returns_pipeline.records.runs import RunKind
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import announcements, chunks
from returns_pipeline.usecases import linking, shadow
from returns_pipeline.usecases.closing import require_known_kind
from returns_pipeline.usecases.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

Timings = dict[str, float]


class _Results(NamedTuple):
    """The outcome of each image of a chunk, and the embeddings if later images are compared with them.

    `uncompared` holds the photos that are compared with earlier ones, to find the same photo again.

    `coloured` counts the pictures whose colours the model does not see.
    """

    outcomes: list[Outcome]
    embedded: Embedded | None = None
    coloured: int = 0
    uncompared: Uncompared | None = None


#: Why the prediction for a colour photo needs a person, if the model takes grey pixels.
COLOUR_DETAIL = "This is a colour photo, and the model knows grey pictures only."
#: Pause after a ConfigFault, so that a worker without its model does not empty the queue before others can
#: work on it.
CONFIG_PAUSE_SECONDS = 2.0


class _LeaseRenewal:
    """Renews a chunk's lease on progress only, so that a process that hangs loses its chunk to another."""

    def __init__(self, context: Context, claim: Claim) -> None:
        """Start with a new lease."""
        self._context, self._claim = context, claim
        self._seconds = context.settings.lease_seconds
        self._next = time.monotonic() + self._seconds / 3

    def progress(self) -> None:
        """Renew after a third of the lease. Raises LeaseLostError if another process claimed the chunk."""
        if time.monotonic() > self._next:
            chunks.renew(self._context.db, self._claim, self._seconds)
            self._next = time.monotonic() + self._seconds / 3


def classify_chunk(context: Context, chunk_id: int, owner: str) -> None:
    """Classify, store and archive one chunk; do nothing if it is done or another process has claimed it.

    `owner` is the id of the message. If the message is delivered again because its worker died, it takes over
    its own lease immediately. A chunk whose worker died is split in halves, until the image that kills the
    workers is alone; one of uploads is split into its images.

    Raises PipelineError after releasing the chunk; its images stay pending.
    """
    worker = f"{socket.gethostname()}:{os.getpid()}"
    with tracing.span("claim"):
        claim = chunks.claim(context.db, chunk_id, owner, worker, context.settings.lease_seconds)
    if claim is None:
        log.info("chunk_skipped", chunk=chunk_id)
        return
    began = time.monotonic()
    with structlog.contextvars.bound_contextvars(run=claim.run_id, chunk=chunk_id, attempt=claim.attempt):
        tracing.note(run=claim.run_id, chunk=chunk_id, attempt=claim.attempt, images=len(claim.images))
        if claim.attempt > 1 and len(claim.images) > 1:
            _split(context, claim)
            return
        try:
            require_known_kind(claim.kind, claim.run_id)
            outcomes, is_of_return = _process(context, claim)
        except chunks.LeaseLostError:
            log.warning("chunk_lease_lost")
            return
        except PipelineError as fault:
            # A transient failure or a wrong setting is not caused by this chunk: its attempt does not count.
            chunks.release(context.db, claim, str(fault), counts=isinstance(fault, ImmovableFault))
            if isinstance(fault, ConfigFault):
                time.sleep(CONFIG_PAUSE_SECONDS)
            raise
        except Exception as error:
            # An unexpected error: the next attempt splits the chunk, until the image that causes it is alone.
            log.exception("chunk_error")
            chunks.release(context.db, claim, repr(error), counts=True)
            context.send_chunks([chunk_id], claim.kind)
            return
        if claim.kind is RunKind.API:
            is_of_return |= linking.link_chunk(context, claim.run_id, chunk_id)
            if _is_compared(context, claim):
                # It is compared before the chunks of a night. Those may wait for hours.
                context.send(Task.MATCH_PHOTOS, chunk_id)
        if is_of_return:
            context.send(Task.JUDGE_RETURNS)
        context.close_if_complete(claim.run_id)
        # After the chunk is done: even a shadow model that kills this process cannot harm the chunk.
        shadow.run_shadow(context, claim, outcomes, began)


def _split(context: Context, claim: Claim) -> None:
    # Clients wait for the other images of an upload, and some belong to other requests.
    parts = len(claim.images) if claim.kind is RunKind.API else 2
    found = chunks.split(context.db, claim, parts)
    log.warning("chunk_split", images=len(claim.images), chunks=found)
    context.send_chunks(found, claim.kind)


def _process(context: Context, claim: Claim) -> tuple[list[Outcome], bool]:
    """Return the outcomes of a chunk, and whether returns are to be judged because of them."""
    timings: Timings = {}
    outcomes: list[Outcome] = []
    is_of_return = False
    sent_before = context.photos.requests()
    if claim.images:
        given_up = claim.attempt > context.settings.max_attempts
        results = _give_up(context, claim) if given_up else _classify(context, claim, timings)
        outcomes = results.outcomes
        with _timed(timings, "store"), tracing.span("store"):
            is_of_return = chunks.store(
                context.db, claim, outcomes, results.embedded, results.coloured, results.uncompared
            )
            if claim.kind is RunKind.API:
                announcements.announce(context.db)
    with _timed(timings, "archive"), tracing.span("archive"):
        gone, staying = _archive(context, claim, _moves(context, claim, outcomes))
    requests = context.photos.requests() - sent_before
    chunks.finish(context.db, claim, gone, timings, staying, requests)
    milliseconds = {f"{stage}_ms": round(seconds * 1000, 1) for stage, seconds in timings.items()}
    log.info("chunk_done", images=len(claim.images), **milliseconds)
    return outcomes, is_of_return


def _moves(context: Context, claim: Claim, outcomes: list[Outcome]) -> list[Move]:
    """Return the chunk's moves; read from the database only if an earlier attempt stored some of them."""
    if len(outcomes) < claim.size:
        return chunks.moves(context.db, claim.chunk_id)
    images = {image.id: image for image in claim.images}
    return [
        Move(image.id, image.path, outcome.destination, image.identity)
        for outcome in outcomes
        if outcome.destination and (image := images[outcome.image_id])
    ]


def _archive(context: Context, claim: Claim, moves: list[Move]) -> tuple[Sequence[int], Mapping[int, str]]:
    """Move photos; return the images whose photo is gone, and those whose photo stays, with the reason.

    Raises ImmovableFault, so that the chunk is tried again, unless this is the last attempt.
    """
    try:
        return context.photos.move(moves, _LeaseRenewal(context, claim).progress), {}
    except ImmovableFault as fault:
        if claim.attempt < context.settings.max_attempts:
            raise
        log.warning("photos_stay", images=len(fault.reasons), reason=str(fault))
        return fault.gone, fault.reasons


def _give_up(context: Context, claim: Claim) -> _Results:
    """Set aside an image that is alone in its chunk and killed its workers or caused an error each time."""
    if claim.error:
        state, code = ImageState.FAILED, FaultCode.GAVE_UP
    else:
        state, code = ImageState.QUARANTINED, FaultCode.KILLED_WORKER
    detail = f"{code.sentence} {claim.error or ''}".strip()
    return _Results([_unclassified(context, claim, image, state, code, detail) for image in claim.images])


def _classify(context: Context, claim: Claim, timings: Timings) -> _Results:
    with tracing.span("classify"):
        began = tracing.now_ns()
        with context.photos.reading(claim.images, context.settings.max_file_bytes) as photos:
            results = _predict(context, claim, timings, photos)
        tracing.stages(began, timings, ("read", "decode", "codes", "predict"))
        return results


def _predict(context: Context, claim: Claim, timings: Timings, photos: Reader) -> _Results:
    settings = context.settings
    bundle, classifier = context.model(str(claim.model), claim.model_sha256)
    thresholds = review_thresholds(bundle, settings.review_threshold)
    codes = context.code_reader
    decoder = Decoder(photos, bundle.input, Limits.of(settings), settings.image_seconds, codes)
    # Clients of the API get the probability of every label.
    kept = len(bundle.labels) if claim.kind is RunKind.API else TOP
    lease = _LeaseRenewal(context, claim)
    folder = _folder(settings.archive_dir, claim)
    outcomes: list[Outcome] = []
    ids: list[int] = []
    vectors: list[NDArray[np.int8]] = []
    coloured = 0
    comparing = _is_compared(context, claim)
    with_thumbnails = is_large_enough(bundle.input.height, bundle.input.width)
    small: list[NDArray[np.uint8]] = []
    for batch in decoder.batches(claim.images, classifier.batch, settings.decode_threads, lease.progress):
        for image, (code, detail, faulty) in batch.failed:
            outcome = _unclassified(context, claim, image, ImageState.QUARANTINED, code, detail)
            outcomes.append(outcome._replace(facts=faulty))
        with _timed(timings, "predict"):
            scores = classifier.predict(batch.pixels)
            predictions = to_predictions(bundle, scores, thresholds, kept, settings.familiarity)
            if claim.kind.is_of_intake and scores.features is not None:
                ids += [image.id for image in batch.images]
                vectors.append(embeddings(scores.features))
        if comparing and with_thumbnails and batch.images:
            with _timed(timings, "store"):
                small.append(thumbnails(batch.pixels))
        first = len(outcomes)
        found = zip(batch.images, batch.facts, predictions, _brightness(batch.pixels), strict=True)
        for image, facts, prediction, bright in found:
            target = destinations.destination(folder, image.id, image.path) if folder else None
            why = UNFAMILIAR_DETAIL if prediction.unfamiliar else None
            outcomes.append(
                Outcome(image.id, ImageState.CLASSIFIED, facts, prediction, None, why, target, (), bright)
            )
        for place in batch.coloured:
            outcomes[first + place] = _to_review(outcomes[first + place])
        for place, codes_found in batch.codes:
            outcomes[first + place] = outcomes[first + place]._replace(codes=codes_found)
        coloured += len(batch.coloured)
    # The decoder adds up the seconds of its threads, which run in parallel.
    threads = max(1, settings.decode_threads)
    timings["read"] = decoder.read_seconds / threads
    timings["decode"] = decoder.decode_seconds / threads
    if codes:
        timings["codes"] = decoder.code_seconds / threads
    embedded = Embedded(np.array(ids, "<i8").tobytes(), np.concatenate(vectors).tobytes()) if ids else None
    return _Results(outcomes, embedded, coloured, _uncompared(outcomes, small) if comparing else None)


def _brightness(pixels: NDArray[np.uint8]) -> list[int]:
    """Return the mean level of each picture, 0 to 255, by every fourth pixel in each direction.

    `pixels` are [n, height, width, channels].
    """
    found: list[int] = (
        pixels[:, ::4, ::4].mean(axis=(1, 2, 3)).astype(np.int16).tolist() if len(pixels) else []
    )
    return found


def _is_compared(context: Context, claim: Claim) -> bool:
    """Whether photos of a chunk may be returned items: they are compared with the photos before them."""
    settings = context.settings
    if not settings.reuse_days or claim.kind is not RunKind.API:
        return bool(settings.reuse_days) and claim.kind.is_of_intake
    is_found_later = bool(settings.codes or settings.file_pattern)
    return is_found_later or any(image.return_id is not None for image in claim.images)


def _uncompared(outcomes: Sequence[Outcome], small: Sequence[NDArray[np.uint8]]) -> Uncompared | None:
    """Return the classified photos of a chunk, whose thumbnails are `small`, in the same order."""
    ids = [outcome.image_id for outcome in outcomes if outcome.state is ImageState.CLASSIFIED]
    if not ids:
        return None
    return Uncompared(np.array(ids, "<i8").tobytes(), b"".join(each.tobytes() for each in small))


def _to_review(outcome: Outcome) -> Outcome:
    """Send a photo to a person whose colours the model does not see: its probability says nothing."""
    prediction = outcome.prediction and outcome.prediction._replace(decision=Decision.REVIEW)
    return outcome._replace(prediction=prediction, detail=COLOUR_DETAIL)


def _unclassified(
    context: Context, claim: Claim, image: PendingImage, state: ImageState, code: FaultCode, detail: str
) -> Outcome:
    # A file that is gone, or is another file by now, must not be moved.
    is_other_file = code in {FaultCode.VANISHED, FaultCode.CHANGED}
    folder = None if is_other_file else _folder(context.settings.quarantine_dir, claim)
    target = destinations.destination(folder, image.id, image.path) if folder else None
    return Outcome(image_id=image.id, state=state, code=code, detail=detail, destination=target)


def _folder(root: Path, claim: Claim) -> str | None:
    """Return the folder under `root` for the chunk's files; None if they stay where they are."""
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
