"""Predictions of each run, counted with what reviews say of them: when it closes, and after reviews."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from returns_pipeline.records.accuracy import BANDS, NO_BAND, Counted
from returns_pipeline.records.images import LabelSource
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.predictions import Decision
from returns_pipeline.records.returns import LinkSource
from returns_pipeline.records.runs import RunState
from returns_pipeline.store.database import Database
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


def count(db: Database, run_id: int) -> None:
    """Count a run's predictions by label, decision and band, in place of earlier counts."""
    is_sure = predictions.c.decision != Decision.REVIEW
    band = sa.case(
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
    with db.write() as connection:
        # Locks the run, so that two processes that count it do so one after the other.
        connection.execute(sa.update(runs).where(runs.c.id == run_id).values(touched_at=runs.c.touched_at))
        connection.execute(sa.delete(run_predictions).where(run_predictions.c.run_id == run_id))
        columns = ["run_id", "label", "is_sure", "band", *_SUMS]
        connection.execute(sa.insert(run_predictions).from_select(columns, counted))


def between(
    db: Database,
    since: datetime,
    until: datetime | None = None,
    *,
    name: str | None = None,
    like_run: int | None = None,
    by_label: bool = False,
) -> list[Counted]:
    """Return the counts of the closed runs that were opened from `since` on and before `until`, added up.

    `name` chooses a model, `like_run` the version and the intake of a run; by default the runs of all. Unsure
    photos are counted for each label only if `by_label`. Runs are left out if it is not known how their
    photos were drawn, or if no sure one was.
    """
    is_sure = run_predictions.c.is_sure
    # In a variable, because PostgreSQL knows an expression again by its parameters.
    label = run_predictions.c.label if by_label else sa.case((is_sure, run_predictions.c.label), else_="")
    band = sa.case((is_sure, len(BANDS)), else_=run_predictions.c.band)
    key = (model_versions.c.name, model_versions.c.version, runs.c.intake, label, is_sure, band)
    query = (
        sa.select(*key, *(sa.func.sum(run_predictions.c[each]) for each in _SUMS))
        .select_from(RUNS_WITH_MODEL.join(run_predictions, run_predictions.c.run_id == runs.c.id))
        .where(_IS_SAMPLED, runs.c.opened_at >= since)
        .group_by(*key)
    )
    if until is not None:
        query = query.where(runs.c.opened_at < until)
    if name is not None:
        query = query.where(model_versions.c.name == name)
    if like_run is not None:
        one = runs.alias()
        is_like = sa.and_(
            one.c.id == like_run,
            one.c.model_version_id == runs.c.model_version_id,
            one.c.intake.is_not_distinct_from(runs.c.intake),
        )
        query = query.join(one, is_like)
    with db.read() as connection:
        return [Counted(ModelRef(row[0], row[1]), *row[2:]) for row in connection.execute(query)]


def left_out(db: Database, moment: datetime, name: str) -> int:
    """Return how many closed runs with classified images `between` leaves out."""
    query = (
        sa.select(sa.func.count())
        .select_from(RUNS_WITH_MODEL)
        .where(
            runs.c.state == RunState.CLOSED,
            runs.c.opened_at >= moment,
            runs.c.classified > 0,
            # Nothing of ad hoc runs is reviewed.
            runs.c.unsure.is_not(None),
            sa.or_(runs.c.audit_share.is_(None), runs.c.audit_share == 0),
            model_versions.c.name == name,
        )
    )
    with db.read() as connection:
        return int(connection.execute(query).scalar_one())
