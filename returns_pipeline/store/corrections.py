"""Notices of corrected images: what counts for an image is another label, or another outcome."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from returns_pipeline.records.notices import Notice, NoticeKind
from returns_pipeline.records.reviews import ReviewOutcome
from returns_pipeline.records.text import file_name
from returns_pipeline.store import bulk, outbox
from returns_pipeline.store.joins import PREDICTION_OF_RUN
from returns_pipeline.store.tables import images, predictions, review_changes, runs


class Counting(NamedTuple):
    """What counts for an image now, with the model's label beside it."""

    run_id: int
    name: str
    predicted: str | None
    outcome: str
    label: str | None
    main_label: str | None


def counting(connection: sa.Connection, image_ids: Sequence[int]) -> dict[int, Counting]:
    """Return what counts for each image within a transaction."""
    query = (
        sa.select(
            images.c.id,
            images.c.run_id,
            images.c.source_path,
            predictions.c.label.label("predicted"),
            predictions.c.main_label.label("predicted_main"),
            review_changes.c.id.label("review"),
            review_changes.c.outcome,
            review_changes.c.label,
            review_changes.c.main_label,
        )
        .select_from(
            images.join(runs, runs.c.id == images.c.run_id)
            .outerjoin(predictions, PREDICTION_OF_RUN)
            .outerjoin(review_changes, review_changes.c.id == images.c.review_id)
        )
        .where(images.c.id.in_(sa.bindparam("ids", expanding=True)))
    )
    return {
        row.id: _counting(row)
        for ids in bulk.parts(image_ids)
        for row in connection.execute(query, {"ids": ids})
    }


def _counting(row: Any) -> Counting:
    word = (
        (ReviewOutcome.LABEL.value, row.predicted, row.predicted_main)
        if row.review is None
        else (row.outcome or ReviewOutcome.LABEL.value, row.label, row.main_label)
    )
    return Counting(row.run_id, file_name(row.source_path), row.predicted, *word)


def tell(connection: sa.Connection, before: Mapping[int, Counting], who: str, at: datetime) -> None:
    """Add a notice for each image for which something else counts than `before` the action of `who`.

    Call it at the end of the transaction that adds or takes back reviews.
    """
    now = counting(connection, list(before))
    changed = [each for each in before if now[each][3:5] != before[each][3:5]]
    # An image may be corrected more than once: the last action on it makes the cause unique.
    newest = sa.select(review_changes.c.image_id, sa.func.max(review_changes.c.id).label("change")).group_by(
        review_changes.c.image_id
    )
    for ids in bulk.parts(changed):
        rows = connection.execute(newest.where(review_changes.c.image_id.in_(ids)))
        changes = {row.image_id: row.change for row in rows}
        outbox.add(connection, [_notice(each, now[each], changes[each], who, at) for each in ids])


def _notice(image_id: int, now: Counting, change: int, who: str, at: datetime) -> Notice:
    said = now.label if now.outcome == ReviewOutcome.LABEL else now.outcome.replace("_", " ")
    predicted = f"the model said {now.predicted}" if now.predicted else "the model said nothing"
    return Notice(
        f"{NoticeKind.IMAGE_CORRECTED}:{change}",
        NoticeKind.IMAGE_CORRECTED,
        f"{who} corrected photo {image_id} ({now.name}): {said}; {predicted}.",
        {
            "image": image_id,
            "run": now.run_id,
            "name": now.name,
            "predicted_label": now.predicted,
            "outcome": now.outcome,
            "label": now.label,
            "main_category": now.main_label,
            "by": who,
            "at": at.isoformat(),
        },
    )
