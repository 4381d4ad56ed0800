"""Giving all images of a list one label or outcome."""

import uuid
from collections.abc import Sequence
from typing import NamedTuple

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.reviews import ReviewOutcome
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.review_grid import MOST_TOGETHER, Sent, decide_many
from returns_pipeline.usecases.reviews import BundleLookup

#: The most images that get one label together: an undo takes them back in one transaction of a second or two.
MOST_LABELLED = 5_000


class LabelledAll(NamedTuple):
    """The batch, None if nothing was stored, and how many images were refused."""

    batch: str | None
    refused: int


def label_all(
    db: Database,
    bundle_of: BundleLookup,
    reviewer: str,
    image_ids: Sequence[int],
    label: str | None,
    outcome: str = ReviewOutcome.LABEL,
    *,
    outcomes: Sequence[str],
) -> LabelledAll:
    """Give images one label or outcome, some hundred in each transaction; one undo takes all back.

    Images that another reviewer has reviewed or holds stay as they are, and count as refused. Raises
    RefusedError for more than MOST_LABELLED images.
    """
    if len(image_ids) > MOST_LABELLED:
        raise RefusedError(
            "More than {most} photos match.", "Narrow the filter or the search.", most=f"{MOST_LABELLED:,}"
        )
    batch, refused, is_stored = uuid.uuid4().hex, 0, False
    for start in range(0, len(image_ids), MOST_TOGETHER):
        sent = [Sent(image_id, label, outcome) for image_id in image_ids[start : start + MOST_TOGETHER]]
        stored, results = decide_many(db, bundle_of, reviewer, sent, outcomes, batch)
        is_stored = is_stored or stored is not None
        refused += sum(isinstance(each, RefusedError) for each in results)
    return LabelledAll(batch if is_stored else None, refused)
