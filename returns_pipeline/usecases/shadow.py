"""A candidate answers beside the model of the night, when the chunk is done: it can spoil nothing."""

import time
from collections.abc import Sequence

import structlog

from returns_pipeline.classify.confidence import review_thresholds
from returns_pipeline.classify.predictions import to_predictions
from returns_pipeline.errors import PipelineError
from returns_pipeline.photos.decoding.batches import Decoder
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.records.chunks import Claim, Shadow
from returns_pipeline.records.images import ImageState, Outcome, PendingImage
from returns_pipeline.records.predictions import Prediction
from returns_pipeline.store import chunks
from returns_pipeline.usecases.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Part of a chunk's time after which the shadow stops: the process would be ended with the rest.
_PART_OF_TIME = 0.5
#: Knuth's multiplicative hash: ids that follow each other are spread evenly.
_SPREAD, _RANGE = 2_654_435_761, 2**32


class _LateError(PipelineError):
    """The chunk's time is used up."""


def answer_beside(context: Context, claim: Claim, outcomes: Sequence[Outcome], began: float) -> None:
    """Let the shadow of a finished chunk's model answer for its sample of the classified images.

    `began` is when the chunk was begun, on time.monotonic. Never raises: what goes wrong is logged, and the
    images keep the answers that they have.
    """
    if claim.shadow is None:
        return
    places = {
        outcome.image_id: outcome.destination
        for outcome in outcomes
        if outcome.state is ImageState.CLASSIFIED and is_in_sample(outcome.image_id, claim.shadow.share)
    }
    sample = [
        image._replace(path=places[image.id] or image.path) for image in claim.images if image.id in places
    ]
    answers: list[tuple[int, Prediction]] = []
    try:
        if sample:
            _answer(context, claim.shadow, sample, began, answers)
    except Exception as error:
        # A candidate is on trial: any fault of its own ends its part, not the night's.
        log.warning("shadow_failed", model=str(claim.shadow.model), reason=str(error) or repr(error))
    try:
        chunks.store_beside(context.db, claim.shadow, answers)
    except PipelineError as fault:
        log.warning("shadow_failed", model=str(claim.shadow.model), reason=str(fault))


def is_in_sample(image_id: int, share: float) -> bool:
    """Whether an image belongs to the sample of this `share`: the same answer each time it is asked."""
    return image_id * _SPREAD % _RANGE < share * _RANGE


def _answer(
    context: Context,
    shadow: Shadow,
    sample: Sequence[PendingImage],
    began: float,
    answers: list[tuple[int, Prediction]],
) -> None:
    settings = context.settings
    deadline = began + _PART_OF_TIME * settings.chunk_seconds

    def progress() -> None:
        if time.monotonic() > deadline:
            raise _LateError("The shadow is too slow for a whole chunk: the rest of its sample is left out.")

    progress()
    bundle, classifier = context.model(str(shadow.model), shadow.model_sha256)
    # At the size that it wants, which need not be the other model's.
    decoder = Decoder(context.photos, bundle.input, Limits.of(settings), settings.image_seconds)
    thresholds = review_thresholds(bundle, settings.review_threshold)
    for batch in decoder.batches(sample, classifier.batch, settings.decode_threads, progress):
        predictions = to_predictions(bundle, classifier.predict(batch.pixels), thresholds)
        ids = [image.id for image in batch.images]
        answers += zip(ids, predictions, strict=True)
    log.info("shadow_done", model=str(shadow.model), images=len(answers))
