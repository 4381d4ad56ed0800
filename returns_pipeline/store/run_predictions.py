"""Predictions of each run, counted with what reviews say of them: when it closes, and after reviews."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from returns_pipeline.records.accuracy import BANDS, NO_BAND, Counted
from returns_pipeline.records.images import LabelSource
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.predictions import Decision
from returns_pipeline.records.returns import LinkSource
from returns_pipeline.records.runs import RunState
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.joins import PREDICTION_OF_RUN, RUNS_WITH_MODEL
from returns_pipeline.store.tables import (
    images,
    model_versions,
    predictions,
    reviews,
    run_predictions,
    runs,
)

_SUMS = ("photos", "probability", "reviewed", "right_count", "weight", "right_weight", "square_weight")

#: Condition: the run is closed, and it is known how its photos were drawn.
_IS_SAMPLED = sa.and_(runs.c.state == RunState.CLOSED, runs.c.audit_share > 0)


class Stamp(NamedTuple):
    """A run, and when it was last changed. Other counts have another stamp."""

    run_id: int
    touched_at: datetime


def count(db: Database, run_id: int) -> None:
    """Count a run's predictions by label, decision and band, in place of earlier counts."""
    is_sure = predictions.c.decision != Decision.REVIEW
    band = sa.case(
        # Sure photos are not estimated by band.
        (is_sure, len(BANDS)),
        # Of a classified image, the detail is why it is reviewed whatever its probability.
        (sa.and_(predictions.c.decision == Decision.REVIEW, images.c.detail.is_not(None)), NO_BAND),
        *((predictions.c.probability < end, place) for place, end in enumerate(BANDS)),
        else_=len(BANDS),
    )
    is_reviewed = sa.and_(reviews.c.inclusion.is_not(None), images.c.final_source == LabelSource.PERSON)
    is_right = sa.and_(is_reviewed, images.c.final_label == predictions.c.label)
    weight = 1 / reviews.c.inclusion

    def total(value: Any, when: sa.ColumnElement[bool]) -> sa.Function[float]:
        return sa.func.sum(sa.case((when, value), else_=0))

    counted = (
        sa.select(
            images.c.run_id,
            predictions.c.label,
            is_sure,
            band,
            sa.func.count(),
            sa.func.sum(predictions.c.probability),
            total(1, is_reviewed),
            total(1, is_right),
            total(weight, is_reviewed),
            total(weight, is_right),
            total(weight * weight, is_reviewed),
        )
        .select_from(
            images.join(runs, runs.c.id == images.c.run_id)
            .join(predictions, PREDICTION_OF_RUN)
            .outerjoin(reviews, reviews.c.image_id == images.c.id)
        )
        .where(images.c.run_id == run_id, images.c.return_source.is_distinct_from(LinkSource.THE_SLIP))
        .group_by(images.c.run_id, predictions.c.label, is_sure, band)
    )
    # Of a closed run, the moment says that its counts are others than before.
    moment = sa.case((runs.c.state == RunState.CLOSED, utc_now()), else_=runs.c.touched_at)
    with db.write() as connection:
        # Locks the run, so that two processes that count it do so one after the other.
        connection.execute(sa.update(runs).where(runs.c.id == run_id).values(touched_at=moment))
        connection.execute(sa.delete(run_predictions).where(run_predictions.c.run_id == run_id))
        columns = ["run_id", "label", "is_sure", "band", *_SUMS]
        connection.execute(sa.insert(run_predictions).from_select(columns, counted))


def stamps(db: Database, starts: Sequence[datetime]) -> list[tuple[Stamp, ...]]:
    """Return the runs of which `in_periods` returns counts, for each of its periods."""
    query = (
        sa.select(runs.c.opened_at, runs.c.id, runs.c.touched_at)
        .where(_IS_SAMPLED, runs.c.opened_at >= starts[0])
        .order_by(runs.c.id)
    )
    found: list[list[Stamp]] = [[] for _ in starts]
    with db.read() as connection:
        for opened_at, run_id, touched_at in connection.execute(query):
            found[bisect_right(starts, opened_at) - 1].append(Stamp(run_id, touched_at))
    return [tuple(each) for each in found]


def in_periods(db: Database, starts: Sequence[datetime], *, by_label: bool) -> list[list[Counted]]:
    """Return the counts of closed runs, added up, for each period by when they were opened.

    A period is from one of the ascending `starts` to the next one; the last one has no end. Unsure photos are
    counted for each label only if `by_label`. Runs are left out if it is not known how their photos were
    drawn, or if no sure one was.
    """
    ended = [(runs.c.opened_at < end, place) for place, end in enumerate(starts[1:])]
    period = sa.case(*ended, else_=len(ended)) if ended else sa.literal(0)
    # The least id of the runs with one version, intake and period: many rows are grouped by one number.
    alike = (runs.c.model_version_id, runs.c.intake, period)
    first = sa.func.min(runs.c.id).over(partition_by=alike).label("first")
    chosen = sa.select(runs.c.id, first).where(_IS_SAMPLED, runs.c.opened_at >= starts[0]).cte()
    is_sure = run_predictions.c.is_sure
    # In a variable, because PostgreSQL knows an expression again by its parameters.
    label = run_predictions.c.label if by_label else sa.case((is_sure, run_predictions.c.label), else_="")
    band = sa.case((is_sure, len(BANDS)), else_=run_predictions.c.band)
    key = [chosen.c.first, label.label("label"), is_sure, band.label("band")]
    sums = (
        sa.select(*key, *(sa.func.sum(run_predictions.c[each]).label(each) for each in _SUMS))
        .select_from(chosen.join(run_predictions, run_predictions.c.run_id == chosen.c.id))
        .group_by(*key)
        .subquery()
    )
    query = sa.select(
        period, model_versions.c.name, model_versions.c.version, runs.c.intake, *list(sums.c)[1:]
    ).select_from(RUNS_WITH_MODEL.join(sums, sums.c.first == runs.c.id))
    found: list[list[Counted]] = [[] for _ in starts]
    with db.read() as connection:
        for place, model, version, *counts in connection.execute(query):
            found[place].append(Counted(ModelRef(model, version), *counts))
    return found


def version_and_intake(db: Database, run_id: int) -> tuple[ModelRef, str | None] | None:
    """Return what a run's counts are added up with those of other runs by; None if there is no such run."""
    query = sa.select(model_versions.c.name, model_versions.c.version, runs.c.intake).select_from(
        RUNS_WITH_MODEL
    )
    with db.read() as connection:
        row = connection.execute(query.where(runs.c.id == run_id)).one_or_none()
    return None if row is None else (ModelRef(row.name, row.version), row.intake)


def left_out(db: Database, moment: datetime) -> dict[str, int]:
    """Return for each model how many closed runs with classified images `in_periods` leaves out, if any."""
    query = (
        sa.select(model_versions.c.name, sa.func.count())
        .select_from(RUNS_WITH_MODEL)
        .where(
            runs.c.state == RunState.CLOSED,
            runs.c.opened_at >= moment,
            runs.c.classified > 0,
            # Nothing of ad hoc runs is reviewed.
            runs.c.unsure.is_not(None),
            sa.or_(runs.c.audit_share.is_(None), runs.c.audit_share == 0),
        )
        .group_by(model_versions.c.name)
    )
    with db.read() as connection:
        return {row[0]: int(row[1]) for row in connection.execute(query)}
