"""Verdicts on returns: the facts that decide them, and how they are stored."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from returns_pipeline.records.images import ImageState
from returns_pipeline.records.notices import Data, Notice, NoticeKind
from returns_pipeline.records.returns import LinkSource, Return, ReturnAction
from returns_pipeline.records.reviews import ReviewOutcome
from returns_pipeline.records.text import iso
from returns_pipeline.records.verdicts import Verdict, VerdictKind
from returns_pipeline.store import bulk, outbox, returns
from returns_pipeline.store.database import Database
from returns_pipeline.store.joins import PREDICTION_OF_RUN
from returns_pipeline.store.return_links import SYSTEM
from returns_pipeline.store.tables import (
    AWAITED,
    images,
    model_versions,
    predictions,
    return_events,
    review_changes,
    runs,
)
from returns_pipeline.store.tables import returns as returns_table

#: Outcomes of a review that say something about the category, beside a label.
_OF_CATEGORY = (ReviewOutcome.NONE_OF_THESE, ReviewOutcome.UNREADABLE, ReviewOutcome.RETAKE)


#: Photos of one return that are compared with products.
MOST_COMPARED = 5

#: A literal, so that PostgreSQL sees the same term in SELECT and GROUP BY.
_SHOWN_VERDICT = sa.func.coalesce(returns_table.c.verdict, sa.literal_column("'none'"))


class ReturnPhoto(NamedTuple):
    """A photo of a return that has a result. `model` is NAME/VERSION of its run, `model_sha256` its digest.

    `top` holds (label index, probability) pairs of that model, best first; empty without a prediction.
    `person_label` is the label or outcome of the review that counts, None without one. `is_unfamiliar`: it is
    unlike anything the model was trained on.
    """

    image_id: int
    model: str
    model_sha256: str
    top: tuple[tuple[int, float], ...]
    person_label: str | None
    is_slip: bool
    is_unfamiliar: bool = False


def lock(connection: sa.Connection, ids: Sequence[int]) -> list[Return]:
    """Lock returns until the end of the transaction, and return them by ascending id."""
    found: list[Return] = []
    for part in bulk.parts(sorted(ids)):
        query = sa.select(*returns.COLUMNS).where(returns_table.c.id.in_(part)).order_by(returns_table.c.id)
        found += [Return._make(row) for row in connection.execute(query.with_for_update())]
    return found


def photos_of(connection: sa.Connection, ids: Sequence[int]) -> dict[int, list[ReturnPhoto]]:
    """Return the photos of returns that have a result and were not deleted, oldest first, by return."""
    query = (
        sa.select(
            images.c.return_id,
            images.c.id,
            images.c.return_source,
            model_versions.c.name,
            model_versions.c.version,
            model_versions.c.sha256,
            predictions.c.top,
            predictions.c.unfamiliar,
            _of_the_review(review_changes.c.outcome),
            _of_the_review(review_changes.c.label),
        )
        .select_from(
            images.join(runs, runs.c.id == images.c.run_id)
            .join(model_versions, model_versions.c.id == runs.c.model_version_id)
            .outerjoin(predictions, PREDICTION_OF_RUN)
        )
        .where(
            images.c.return_id.in_(sa.bindparam("some", expanding=True)),
            images.c.return_id.is_not(None),
            images.c.state != ImageState.PENDING,
            images.c.deleted_at.is_(None),
        )
        .order_by(images.c.id)
    )
    found: dict[int, list[ReturnPhoto]] = {each: [] for each in ids}
    for part in bulk.parts(ids):
        for row in connection.execute(query, {"some": part}):
            found[row.return_id].append(_photo(row))
    return found


def _of_the_review(column: sa.Column[Any]) -> sa.Label[Any]:
    """Return a column of the review of each image.

    A subquery: PostgreSQL would join the few images with all reviews that were ever made.
    """
    query = sa.select(column).where(review_changes.c.id == images.c.review_id)
    return query.scalar_subquery().label(column.name)


def comparable(photos: Sequence[ReturnPhoto]) -> tuple[int, ...]:
    """Return the photos that are compared with the expected product: the first five that show an item."""
    shown = [photo.image_id for photo in photos if photo.top and not photo.is_slip]
    return tuple(shown[:MOST_COMPARED])


def _photo(row: Any) -> ReturnPhoto:
    top = tuple((int(index), float(chance)) for index, chance in row.top or ())
    said = row.label if row.outcome == ReviewOutcome.LABEL else row.outcome
    if row.outcome != ReviewOutcome.LABEL and row.outcome not in _OF_CATEGORY:
        # A shop's own outcome, like `damaged`, says nothing about the category.
        said = None
    is_slip = row.return_source == LinkSource.THE_SLIP
    return ReturnPhoto(
        row.id, f"{row.name}/{row.version}", row.sha256, top, said, is_slip, bool(row.unfamiliar)
    )


def write(connection: sa.Connection, found: Return, verdict: Verdict | None, now: datetime) -> Notice | None:
    """Store a verdict that differs from the one that a locked return has; return the notice of the change.

    None takes a verdict back: no photo of the return is left, and it is not overdue. A verdict is told if it
    becomes another kind, but not if the first one is a match. The caller stores the notice.
    """
    detail = None if verdict is None else _detail(verdict)
    kind = None if verdict is None else verdict.kind.value
    reason = None if verdict is None else verdict.reason.value
    sureness = None if verdict is None or verdict.sureness is None else round(verdict.sureness, 6)
    if (kind, reason, sureness, detail) == (
        found.verdict,
        found.verdict_reason,
        found.sureness,
        found.verdict_detail,
    ):
        return None
    connection.execute(
        sa.update(returns_table)
        .where(returns_table.c.id == found.id)
        .values(
            verdict=kind,
            verdict_reason=reason,
            sureness=sureness,
            # Not JSON's null.
            verdict_detail=sa.null() if detail is None else detail,
            verdict_at=None if verdict is None else now,
        )
    )
    event = connection.execute(
        sa.insert(return_events)
        .values(
            return_id=found.id,
            at=now,
            who=SYSTEM,
            action=ReturnAction.VERDICT,
            detail={"verdict": kind, "reason": reason, "sureness": sureness, "before": found.verdict}
            | (detail or {}),
        )
        .returning(return_events.c.id)
    ).scalar_one()
    is_first_match = found.verdict is None and kind == VerdictKind.MATCH
    if kind is None or kind == found.verdict or is_first_match:
        return None
    data: Data = {
        "return": found.number,
        "order": found.order_number,
        "verdict": kind,
        "reason": reason,
        "sureness": sureness,
        "before": found.verdict,
        "expected": verdict.expected if verdict else "",
        "found": verdict.found if verdict else "",
        "photos": verdict.photos if verdict else 0,
        "measured": verdict.measured if verdict else True,
        "earlier_returns": list(verdict.earlier) if verdict else [],
        "product": verdict.product.product if verdict and verdict.product else None,
        "found_product": verdict.found_product if verdict else None,
        "at": iso(now),
    }
    text = f"Return {found.number}: {kind}."
    return Notice(f"{NoticeKind.RETURN_VERDICT}:{event}", NoticeKind.RETURN_VERDICT, text, data)


def _detail(verdict: Verdict) -> dict[str, Any]:
    detail: dict[str, Any] = {
        "expected": verdict.expected,
        "found": verdict.found,
        "photos": verdict.photos,
        "measured": verdict.measured,
    }
    if verdict.earlier:
        detail["earlier"] = list(verdict.earlier)
    if verdict.product:
        detail["product"] = verdict.product._asdict()
    return detail


def tell(connection: sa.Connection, notices: Sequence[Notice]) -> None:
    """Add the notices of verdicts within their transaction."""
    outbox.add(connection, notices)


def queue_overdue(db: Database, now: datetime, most: int = 10_000) -> int:
    """Queue the returns without a verdict whose photos should have come by now; return how many."""
    query = sa.select(returns_table.c.id).where(AWAITED, returns_table.c.due_at <= now).limit(most)
    with db.read() as connection:
        ids = list(connection.execute(query).scalars())
    if ids:
        with db.write() as connection:
            returns.queue(connection, ids)
    return len(ids)


def counts(db: Database) -> list[tuple[str, bool, int]]:
    """Return how many returns have each verdict, decided or not; the verdict is `none` without one."""
    is_decided = returns_table.c.decision.is_not(None)
    query = sa.select(_SHOWN_VERDICT, is_decided.label("decided"), sa.func.count()).group_by(
        _SHOWN_VERDICT, is_decided
    )
    with db.read() as connection:
        return [(str(row[0]), bool(row[1]), int(row[2])) for row in connection.execute(query)]
