"""Reviewing many images together: those of one predicted category, most alike first."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from returns_pipeline.classify.embedding import DIMENSIONS, typical_first
from returns_pipeline.errors import NotFoundError, RefusedError
from returns_pipeline.records.reviews import (
    GridImage,
    Judgement,
    ReviewAction,
    ReviewOutcome,
    ReviewScope,
)
from returns_pipeline.store import review_grid, review_queue, reviews
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.reviews import BundleLookup, outcomes_without_label, word_of

#: How many images a page shows, and how many it is chosen from.
_SHOWN, _CANDIDATES = 40, 400
_HOLD_SECONDS = review_queue.MOST_HOLD_SECONDS
#: The most images that are judged together.
MOST_TOGETHER = 200


@dataclass(frozen=True, slots=True)
class GridPage:
    """Images of one predicted category; `held` is how many more other reviewers hold."""

    images: list[GridImage]
    held: int


@dataclass(frozen=True, slots=True)
class Sent:
    """What a person says of one image of several: a label, or an outcome without one.

    `replaces` is the id of the review that the person saw. With `aside`, the image is put aside for a review
    of its own, and label and outcome are not read.
    """

    image_id: int
    label: str | None = None
    outcome: str = ReviewOutcome.LABEL
    replaces: int | None = None
    aside: bool = False


def page(db: Database, reviewer: str, scope: ReviewScope, label: str, *, with_sure: bool = False) -> GridPage:
    """Hold up to 40 images of a predicted label for a reviewer and return them, most alike first.

    They wait for a review, or `with_sure` are all images of the scope's run without a review. Only those that
    are in the queue can be held. Raises NotFoundError `with_sure` without a run.
    """
    scope = scope._replace(predicted=label)
    if with_sure:
        if scope.run_id is None:
            raise NotFoundError("Choose a run.")
        found = review_grid.unreviewed(db, reviewer, scope.run_id, label, _CANDIDATES)
    else:
        found = review_grid.waiting(db, reviewer, scope, _CANDIDATES)
    shown = _most_alike_first(db, found)[:_SHOWN]
    taken = review_grid.hold(db, reviewer, [image.image_id for image in shown], _HOLD_SECONDS)
    return GridPage(
        [image for image in shown if image.image_id not in taken],
        review_queue.held_by_others(db, reviewer, scope),
    )


def _most_alike_first(db: Database, found: Sequence[GridImage]) -> list[GridImage]:
    """Return images in the order of their embeddings, then those without one, most probable first."""
    vectors: dict[int, np.ndarray[tuple[int], np.dtype[np.int8]]] = {}
    wanted = np.array([image.image_id for image in found], np.int64)
    for embedded in review_grid.embeddings_of(db, found):
        ids = np.frombuffer(embedded.image_ids, "<i8")
        rows = np.frombuffer(embedded.vectors, np.int8).reshape(-1, DIMENSIONS)
        for at in np.flatnonzero(np.isin(ids, wanted)):
            vectors[int(ids[at])] = rows[at]
    known = [image for image in found if image.image_id in vectors]
    others = [image for image in found if image.image_id not in vectors]
    if known:
        order = typical_first(np.stack([vectors[image.image_id] for image in known]))
        known = [known[at] for at in order]
    return known + sorted(others, key=lambda image: -image.probability)


def decide_many(
    db: Database,
    bundle_of: BundleLookup,
    reviewer: str,
    sent: Sequence[Sent],
    outcomes: Sequence[str],
    batch: str | None = None,
) -> tuple[str | None, list[ReviewAction | RefusedError]]:
    """Store what a person says of up to MOST_TOGETHER images, in one transaction.

    Return the batch, None if nothing was stored, and the result of each image: what was done, or why it was
    refused. One undo takes back the whole batch: a new one, or `batch`. `outcomes` are those of the settings.
    """
    items = review_queue.find_many(db, {each.image_id for each in sent})
    without = outcomes_without_label(outcomes)
    results: list[ReviewAction | RefusedError | None] = [None] * len(sent)
    judged: list[Judgement] = []
    places: list[int] = []
    for place, each in enumerate(sent):
        try:
            item = items.get(each.image_id)
            if item is None:
                raise NotFoundError("There is no image {image}.", image=each.image_id)
            word = None if each.aside else word_of(bundle_of, item, each.label, each.outcome, without)
        except RefusedError as fault:
            results[place] = fault
        else:
            places.append(place)
            judged.append(Judgement(each.image_id, word, each.replaces))
    batch = batch or uuid.uuid4().hex
    for place, result in zip(places, reviews.decide_many(db, reviewer, judged, batch), strict=True):
        results[place] = result
    done = [result for result in results if result is not None]
    return batch if any(isinstance(result, ReviewAction) for result in done) else None, done
