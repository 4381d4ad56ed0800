"""Statistics of runs: images by label, images by reason, seconds by stage, and their totals."""

from collections import Counter
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from returns_pipeline.records.chunks import ChunkState
from returns_pipeline.records.images import ImageState
from returns_pipeline.records.runs import NIGHTS, RunState
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import (
    NOT_CLOSED,
    chunks,
    images,
    of_stages,
    run_labels,
    run_stages,
    runs,
)


def count_labels(db: Database, run_id: int) -> None:
    """Count how many images of a run have each final label, and store it in place of earlier counts."""
    counted = (
        sa.select(images.c.run_id, images.c.final_label, sa.func.count())
        .where(images.c.run_id == run_id, images.c.final_label.is_not(None))
        .group_by(images.c.run_id, images.c.final_label)
    )
    with db.write() as connection:
        # Locks the run, so that two processes that count it do so one after the other.
        connection.execute(sa.update(runs).where(runs.c.id == run_id).values(touched_at=runs.c.touched_at))
        connection.execute(sa.delete(run_labels).where(run_labels.c.run_id == run_id))
        connection.execute(sa.insert(run_labels).from_select(["run_id", "label", "count"], counted))


def labels(db: Database, run_ids: Sequence[int]) -> Mapping[int, Mapping[str, int]]:
    """Return how many images of each run have each label, by run and label."""
    query = sa.select(run_labels.c.run_id, run_labels.c.label, run_labels.c.count.label("images")).where(
        run_labels.c.run_id.in_(run_ids)
    )
    found: dict[int, dict[str, int]] = {run_id: {} for run_id in run_ids}
    with db.read() as connection:
        for row in connection.execute(query):
            found[row.run_id][row.label] = row.images
    return found


def nights_before(db: Database, run_id: int, limit: int) -> Mapping[int, tuple[int, int | None]]:
    """Return (classified, unsure) images of the newest closed nights of a run's intake that came before it.

    By run, newest first. `unsure` is None if it was not counted. Nights without classified images are left
    out.
    """
    mine = sa.select(runs.c.intake).where(runs.c.id == run_id).scalar_subquery()
    query = (
        sa.select(runs.c.id, runs.c.classified, runs.c.unsure)
        .where(
            runs.c.id < run_id,
            runs.c.kind.in_(NIGHTS),
            runs.c.state == RunState.CLOSED,
            runs.c.intake == mine,
            runs.c.classified > 0,
        )
        .order_by(runs.c.id.desc())
        .limit(limit)
    )
    with db.read() as connection:
        return {row.id: (row.classified, row.unsure) for row in connection.execute(query)}


def reasons(db: Database, run_id: int) -> Sequence[tuple[str, int]]:
    """Return how many images of a run have no prediction for each reason, most frequent first."""
    count = sa.func.count()
    query = (
        sa.select(images.c.code, count)
        .where(images.c.run_id == run_id, images.c.state.in_([ImageState.QUARANTINED, ImageState.FAILED]))
        .group_by(images.c.code)
        .order_by(count.desc(), images.c.code)
    )
    with db.read() as connection:
        return [(str(row[0]), int(row[1])) for row in connection.execute(query)]


def add_stages(db: Database, run_id: int) -> None:
    """Store the seconds that a run spent in each stage. May run twice; existing rows stay."""
    seconds = Counter[str]()
    with db.read() as connection:
        timings = connection.execute(sa.select(chunks.c.timings).where(chunks.c.run_id == run_id)).scalars()
        for each in timings:
            seconds.update({stage: spent / 1000 for stage, spent in of_stages(each or {}).items()})
    if not seconds:
        return
    rows = [{"run_id": run_id, "stage": stage, "seconds": spent} for stage, spent in seconds.items()]
    with db.write() as connection:
        connection.execute(
            db.insert(run_stages).on_conflict_do_nothing(
                index_elements=[run_stages.c.run_id, run_stages.c.stage]
            ),
            rows,
        )


def totals(db: Database) -> tuple[dict[str, int], dict[str, int], dict[str, float]]:
    """Return the totals of all closed runs: images by state, images by label, seconds by stage."""
    states = (ImageState.CLASSIFIED, ImageState.QUARANTINED, ImageState.FAILED)
    with db.read() as connection:
        counts = connection.execute(
            sa.select(*(sa.func.coalesce(sa.func.sum(runs.c[state]), 0) for state in states))
        ).one()
        labelled = connection.execute(
            sa.select(run_labels.c.label, sa.func.sum(run_labels.c.count)).group_by(run_labels.c.label)
        ).all()
        staged = connection.execute(
            sa.select(run_stages.c.stage, sa.func.sum(run_stages.c.seconds)).group_by(run_stages.c.stage)
        ).all()
    return (
        {state.value: int(count) for state, count in zip(states, counts, strict=True)},
        {label: int(count) for label, count in labelled},
        {stage: float(seconds) for stage, seconds in staged},
    )


def done(db: Database) -> int:
    """Return how many images of all runs have a result and are at their place. It never decreases.

    Closed runs have their number; of the others, finished chunks are added up. One statement, so that a run
    that closes meanwhile counts once.
    """
    closed = sa.select(sa.func.coalesce(sa.func.sum(runs.c.seen), 0)).where(runs.c.state == RunState.CLOSED)
    of_open = (
        sa.select(sa.func.coalesce(sa.func.sum(chunks.c.size), 0))
        .join_from(chunks, runs)
        .where(NOT_CLOSED, chunks.c.state == ChunkState.DONE)
    )
    with db.read() as connection:
        return int(
            connection.execute(sa.select(closed.scalar_subquery() + of_open.scalar_subquery())).scalar_one()
        )
