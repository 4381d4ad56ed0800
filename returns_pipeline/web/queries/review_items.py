"""Reviewing, as the page and the REST interface both do it."""

from typing import Any

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.errors import (
    ConfigFault,
    ConflictError,
    NotFoundError,
    RefusedError,
)
from returns_pipeline.records.reviews import ReviewAction
from returns_pipeline.records.reviews import ReviewItem as Item
from returns_pipeline.report.csv_table import printable
from returns_pipeline.store import reviews
from returns_pipeline.web.v1.schemas import ReviewItem

#: How long an image is somebody's who does nothing with it.
HOLD_SECONDS = 300.0
_MOST_LABELS = 5


def next_item(state: Any, who: str) -> ReviewItem | None:
    """Hold the next image for somebody and return it as it is shown; None when nothing waits."""
    item = reviews.take(state.context.db, who, HOLD_SECONDS)
    return shown(state, item) if item else None


def shown(state: Any, item: Item) -> ReviewItem:
    """Return an image with the names of its best labels, and of all that can be chosen."""
    labels = _labels(state, item)
    return ReviewItem(
        image=item.image_id,
        run=item.run_id,
        name=printable(item.path.rpartition("/")[2]),
        kind=item.kind,
        model=f"{item.model_name}/{item.model_version}",
        label=item.label,
        probability=item.probability,
        main_category=item.main_label,
        top=[(labels[index], chance) for index, chance in item.top[:_MOST_LABELS]]
        if labels
        else [(item.label, item.probability)],
        labels=list(labels) or [item.label],
    )


def decide(state: Any, who: str, image_id: int, label: str) -> ReviewAction:
    """Store what somebody says an image is.

    Raises NotFoundError for an image that nobody needs to look at, RefusedError for a label that the model
    does not know, ConflictError when somebody else was faster.
    """
    item = reviews.find(state.context.db, image_id) if 0 < image_id < 2**63 else None
    if item is None:
        raise NotFoundError("Image {image_id} does not wait for a review.", image_id=image_id)
    bundle = _bundle(state, item)
    if bundle is None and label == item.label:
        return _stored(state, who, image_id, label, item.main_label)
    if bundle is None:
        raise ConflictError(
            "The model {model_name}/{model_version} is gone.",
            "Accept its answer, or skip the image.",
            model_name=item.model_name,
            model_version=item.model_version,
        )
    if label not in bundle.labels:
        raise RefusedError(
            "{bundle_ref} knows no label {label!r}.",
            "Choose of {labels}.",
            bundle_ref=bundle.ref,
            label=label,
            labels=", ".join(bundle.labels),
        )
    main = bundle.main_categories[bundle.labels.index(label)]
    return _stored(state, who, image_id, label, main)


def _stored(state: Any, who: str, image_id: int, label: str, main: str) -> ReviewAction:
    return reviews.decide(state.context.db, who, image_id, label, main)


def _labels(state: Any, item: Item) -> tuple[str, ...]:
    bundle = _bundle(state, item)
    return bundle.labels if bundle else ()


def _bundle(state: Any, item: Item) -> Bundle | None:
    """Return the bundle that answered; None where it has been deleted: its answer can still be accepted."""
    try:
        bundle: Bundle = state.asker.bundle(f"{item.model_name}/{item.model_version}")
    except ConfigFault:
        return None
    return bundle
