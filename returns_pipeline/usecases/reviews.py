"""Reviewing: a person says what an image is. The queue offers images; any other image can be reviewed too."""

from collections.abc import Callable, Sequence

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.errors import ConfigFault, ConflictError, NotFoundError, RefusedError
from returns_pipeline.records.reviews import (
    ReviewAction,
    ReviewItem,
    ReviewOutcome,
    ReviewScope,
    ReviewTask,
    Undone,
    Word,
)
from returns_pipeline.records.text import file_name
from returns_pipeline.store import review_queue, reviews
from returns_pipeline.store.database import Database

#: Seconds for which an image is held for one reviewer.
_HOLD_SECONDS = review_queue.MOST_HOLD_SECONDS
_MOST_LABELS = 5
#: Outcomes without a label that every installation has.
_WITHOUT_LABEL = (ReviewOutcome.NONE_OF_THESE, ReviewOutcome.UNREADABLE, ReviewOutcome.RETAKE)

#: Returns the bundle NAME/VERSION. Raises ConfigFault if it is missing or broken.
BundleLookup = Callable[[str], Bundle]


def outcomes_without_label(own: Sequence[str]) -> tuple[str, ...]:
    """Return the outcomes that a person can choose instead of a label; `own` are those of the settings."""
    return (*_WITHOUT_LABEL, *own)


def next_task(
    db: Database, bundle_of: BundleLookup, reviewer: str, scope: ReviewScope = review_queue.EVERYTHING
) -> ReviewTask | None:
    """Hold the next image of a scope for a reviewer and return it; None if no image waits."""
    item = review_queue.take(db, reviewer, _HOLD_SECONDS, scope)
    return task_of(bundle_of, item) if item else None


def task(db: Database, bundle_of: BundleLookup, image_id: int) -> ReviewTask:
    """Return any image with what a person needs to review it. Raises NotFoundError for an unknown id."""
    return task_of(bundle_of, _existing(db, image_id))


def decide(
    db: Database,
    bundle_of: BundleLookup,
    reviewer: str,
    image_id: int,
    label: str | None,
    outcome: str = ReviewOutcome.LABEL,
    *,
    outcomes: Sequence[str] = (),
    replaces: int | None = None,
) -> ReviewAction:
    """Store a person's label of an image, or an outcome without a label; return whether it accepts.

    `outcomes` are those of the settings. `replaces` is the id of the review that the person saw, None for
    none. Raises NotFoundError for an unknown image, RefusedError for a label or an outcome that does not
    exist, ConflictError if the image is not classified yet, or if another person holds or has reviewed it.
    """
    item = _existing(db, image_id)
    word = word_of(bundle_of, item, label, outcome, outcomes_without_label(outcomes))
    return reviews.decide(db, reviewer, image_id, word, replaces)


def skip(db: Database, reviewer: str, image_id: int) -> None:
    """Put an image at the end of the queue. Raises NotFoundError if it does not wait for this reviewer."""
    if not reviews.skip(db, reviewer, image_id):
        raise NotFoundError("Image {image} does not wait for a review of yours.", image=image_id)


def undo(db: Database, reviewer: str) -> Undone:
    """Take back the last action of a person, a skip included; a queued image is held for them again.

    Raises ConflictError if there is no action that can be taken back.
    """
    undone = reviews.undo(db, reviewer, _HOLD_SECONDS)
    if undone is None:
        raise ConflictError("There is no review of yours to take back.")
    return undone


def _existing(db: Database, image_id: int) -> ReviewItem:
    item = review_queue.find(db, image_id)
    if item is None:
        raise NotFoundError("There is no image {image}.", image=image_id)
    return item


def task_of(bundle_of: BundleLookup, item: ReviewItem) -> ReviewTask:
    """Return an image with the names of its best labels and of all that can be chosen."""
    bundle = _bundle(bundle_of, item)
    predicted = ((item.label, item.probability),) if item.label and item.probability is not None else ()
    indices = (item.top or ())[:_MOST_LABELS]
    # A bundle that was replaced may have fewer labels.
    fits = bundle and all(index < len(bundle.labels) for index, _ in indices)
    best = [(bundle.labels[index], probability) for index, probability in indices] if bundle and fits else []
    return ReviewTask(
        image_id=item.image_id,
        run_id=item.run_id,
        name=file_name(item.path),
        kind=item.kind,
        model=_model(item),
        label=item.label,
        probability=item.probability,
        main_label=item.main_label,
        top=tuple(best) or predicted,
        labels=bundle.labels if bundle else tuple(label for label, _ in predicted),
        review_id=item.review_id,
        unfamiliar=item.unfamiliar,
    )


def word_of(
    bundle_of: BundleLookup, item: ReviewItem, label: str | None, outcome: str, without: Sequence[str]
) -> Word:
    """Return what a person says of an image; `without` are the outcomes without a label.

    Raises RefusedError for a label or an outcome that does not exist, ConflictError for a deleted model.
    """
    if outcome == ReviewOutcome.LABEL:
        if label is None:
            raise RefusedError(
                "A review needs a label or an outcome.",
                "Send a `label`, or as `outcome` one of {outcomes}.",
                outcomes=", ".join(without),
            )
        return Word(outcome, label, _main_label(bundle_of, item, label))
    if outcome not in without:
        raise RefusedError(
            "There is no outcome {outcome!r}.",
            "Choose one of {outcomes}, or add yours to RETURNS_REVIEW_OUTCOMES.",
            outcome=outcome,
            outcomes=", ".join(without),
        )
    if label is not None:
        raise RefusedError(
            "The outcome {outcome} has no label.", "Send a label or an outcome, not both.", outcome=outcome
        )
    return Word(outcome)


def _main_label(bundle_of: BundleLookup, item: ReviewItem, label: str) -> str:
    bundle = _bundle(bundle_of, item)
    if bundle is None:
        if label == item.label and item.main_label is not None:
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
