"""Reviewing: a person gets one image at a time and chooses its label."""

from collections.abc import Callable

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.errors import ConfigFault, ConflictError, NotFoundError, RefusedError
from returns_pipeline.records.reviews import ReviewAction, ReviewItem, ReviewTask
from returns_pipeline.records.text import file_name
from returns_pipeline.store import reviews
from returns_pipeline.store.database import Database

#: Seconds for which an image is held for one reviewer.
_HOLD_SECONDS = reviews.MOST_HOLD_SECONDS
_MOST_LABELS = 5

#: Returns the bundle NAME/VERSION. Raises ConfigFault if it is missing or broken.
BundleLookup = Callable[[str], Bundle]


def next_task(db: Database, bundle_of: BundleLookup, reviewer: str) -> ReviewTask | None:
    """Hold the next image for a reviewer and return it; None if no image waits."""
    item = reviews.take(db, reviewer, _HOLD_SECONDS)
    return _task(bundle_of, item) if item else None


def decide(db: Database, bundle_of: BundleLookup, reviewer: str, image_id: int, label: str) -> ReviewAction:
    """Store a reviewer's label of an image; return whether it accepts or corrects the prediction.

    Raises NotFoundError if the image does not wait for a review, RefusedError for a label that the model does
    not have, ConflictError if another reviewer holds or has reviewed the image.
    """
    item = reviews.find(db, image_id)
    if item is None:
        raise NotFoundError("Image {image} does not wait for a review.", image=image_id)
    return reviews.decide(db, reviewer, image_id, label, _main_label(bundle_of, item, label))


def skip(db: Database, reviewer: str, image_id: int) -> None:
    """Put an image at the end of the queue. Raises NotFoundError if it does not wait for this reviewer."""
    if not reviews.skip(db, reviewer, image_id):
        raise NotFoundError("Image {image} does not wait for a review of yours.", image=image_id)


def undo(db: Database, bundle_of: BundleLookup, reviewer: str) -> ReviewTask:
    """Take back a reviewer's newest review, and hold its image for the reviewer again.

    Raises ConflictError if the reviewer has no review that can be taken back.
    """
    item = reviews.undo(db, reviewer, _HOLD_SECONDS)
    if item is None:
        raise ConflictError("There is no review of yours to take back.")
    return _task(bundle_of, item)


def _task(bundle_of: BundleLookup, item: ReviewItem) -> ReviewTask:
    bundle = _bundle(bundle_of, item)
    best = (
        [(bundle.labels[index], probability) for index, probability in item.top[:_MOST_LABELS]]
        if bundle and all(index < len(bundle.labels) for index, _ in item.top)
        else [(item.label, item.probability)]
    )
    return ReviewTask(
        image_id=item.image_id,
        run_id=item.run_id,
        name=file_name(item.path),
        kind=item.kind,
        model=_model(item),
        label=item.label,
        probability=item.probability,
        main_label=item.main_label,
        top=tuple(best),
        labels=bundle.labels if bundle else (item.label,),
    )


def _main_label(bundle_of: BundleLookup, item: ReviewItem, label: str) -> str:
    bundle = _bundle(bundle_of, item)
    if bundle is None:
        if label == item.label:
            return item.main_label
        raise ConflictError(
            "The model {model} has been deleted.",
            "Accept its prediction, or skip the image.",
            model=_model(item),
        )
    if label not in bundle.labels:
        raise RefusedError(
            "{model} has no label {label!r}.",
            "Choose one of {labels}.",
            model=_model(item),
            label=label,
            labels=", ".join(bundle.labels),
        )
    return bundle.main_categories[bundle.labels.index(label)]


def _bundle(bundle_of: BundleLookup, item: ReviewItem) -> Bundle | None:
    """Return the bundle of the prediction; None if it was deleted. Its prediction can still be accepted."""
    try:
        return bundle_of(_model(item))
    except ConfigFault:
        return None


def _model(item: ReviewItem) -> str:
    return f"{item.model_name}/{item.model_version}"
