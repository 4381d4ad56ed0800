"""Runs a shadow model on a sample of a finished chunk. Its predictions are stored beside those of the run."""

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

#: Part of a chunk's time limit after which the shadow stops. At the limit itself the process is killed.
_PART_OF_TIME = 0.5
#: Knuth's multiplicative hash (The Art of Computer Programming, vol. 3, 6.4) spreads consecutive ids evenly.
_SPREAD, _RANGE = 2_654_435_761, 2**32


class _TooSlowError(PipelineError):
    """The shadow's part of the chunk's time is used up."""


def run_shadow(context: Context, claim: Claim, outcomes: Sequence[Outcome], began: float) -> None:
    """Store the shadow model's predictions for its sample of a finished chunk's classified images.

    `began` is the time.monotonic() at which the chunk was begun. Never raises: errors are logged, and the
    images keep the predictions that they have.
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
    found: list[tuple[int, Prediction]] = []
    try:
        if sample:
            _predict(context, claim.shadow, sample, began, found)
    except Exception as error:
        # A candidate is on trial: whatever it raises must not fail the night.
        log.warning("shadow_failed", model=str(claim.shadow.model), reason=str(error) or repr(error))
    try:
        chunks.store_shadow(context.db, claim.shadow, found)
    except PipelineError as fault:
        log.warning("shadow_failed", model=str(claim.shadow.model), reason=str(fault))


def is_in_sample(image_id: int, share: float) -> bool:
    """Whether an image belongs to the sample of this `share`, 0 to 1. Depends on the id only."""
    return image_id * _SPREAD % _RANGE < share * _RANGE


def _predict(
    context: Context,
    shadow: Shadow,
    sample: Sequence[PendingImage],
    began: float,
    found: list[tuple[int, Prediction]],
) -> None:
    """Add (image id, prediction) to `found`, batch by batch, so that an error keeps what is done."""
    settings = context.settings
    deadline = began + _PART_OF_TIME * settings.chunk_seconds

    def progress() -> None:
        if time.monotonic() > deadline:
            raise _TooSlowError(
                "The shadow is too slow for a whole chunk; the rest of its sample is left out."
            )

    progress()
    bundle, classifier = context.model(str(shadow.model), shadow.model_sha256)
    # Decoded again, because the shadow may need another size than the run's model.
    decoder = Decoder(context.photos, bundle.input, Limits.of(settings), settings.image_seconds)
    thresholds = review_thresholds(bundle, settings.review_threshold)
    for batch in decoder.batches(sample, classifier.batch, settings.decode_threads, progress):
        predictions = to_predictions(
            bundle,
            classifier.predict(batch.pixels),
            thresholds,
            least_familiarity=settings.familiarity,
        )
        ids = [image.id for image in batch.images]
        found += zip(ids, predictions, strict=True)
    log.info("shadow_done", model=str(shadow.model), images=len(found))
