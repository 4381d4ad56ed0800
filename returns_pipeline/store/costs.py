"""How long an image takes, measured on finished chunks. The sizes of new chunks follow from it."""

from collections.abc import Collection
from typing import Any, NamedTuple

import sqlalchemy as sa

from returns_pipeline.records.chunks import ChunkState
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.runs import OF_INTAKE, RunKind
from returns_pipeline.store.database import Database
from returns_pipeline.store.joins import RUNS_WITH_MODEL
from returns_pipeline.store.nights import is_recent
from returns_pipeline.store.tables import UNFINISHED, chunks, images, model_versions, of_stages, runs

#: Of a night, so many chunks count, and only chunks and runs with at least so many images.
_OF_NIGHT, _LEAST_IMAGES = 100, 16
#: Of a night, so many chunks count for the size of a photo.
_OF_SIZES = 10
#: Of a run of uploads, so many chunks count, and these stages. The others cost the same for any size.
_OF_UPLOADS = 20
_STAGES_OF_IMAGES = ("read", "decode", "codes", "predict")
#: Of the chunks that were done last, so many count, of at most so many runs.
_OF_LAST, _LAST_RUNS = 50, 5


def _last_of_run(count: int) -> sa.Select[Any]:
    return (
        sa.select(chunks.c.size, chunks.c.timings)
        .where(chunks.c.run_id == sa.bindparam("run"), chunks.c.state == ChunkState.DONE, chunks.c.size > 0)
        .order_by(chunks.c.id.desc())
        .limit(count)
    )


_LAST_OF_RUN, _UPLOADS = _last_of_run(_OF_LAST), _last_of_run(_OF_UPLOADS)


class OpenPhotos(NamedTuple):
    """The photos in unfinished chunks of the runs of one kind and one model version."""

    kind: RunKind
    model_version_id: int
    photos: int


def open_photos(db: Database) -> list[OpenPhotos]:
    """Return the photos in unfinished chunks by kind of run and model. Reads each unfinished chunk."""
    query = (
        sa.select(runs.c.kind, runs.c.model_version_id, sa.func.sum(chunks.c.size))
        .join_from(chunks, runs)
        .where(UNFINISHED)
        .group_by(runs.c.kind, runs.c.model_version_id)
    )
    with db.read() as connection:
        return [
            OpenPhotos(RunKind(kind), int(model), int(photos))
            for kind, model, photos in connection.execute(query)
        ]


def of_last_chunks(db: Database, model_version_id: int, kinds: Collection[RunKind]) -> float | None:
    """Return the process seconds for one photo in the last chunks of a model's runs; None before the first.

    Runs of other `kinds` do not count. All stages count, from reading to archiving.
    """
    newest = (
        sa.select(runs.c.id)
        .where(is_recent(), runs.c.model_version_id == model_version_id, runs.c.kind.in_(kinds))
        .order_by(runs.c.id.desc())
        .limit(_LAST_RUNS)
    )
    rows: list[Any] = []
    with db.read() as connection:
        for run_id in connection.execute(newest).scalars().all():
            done = connection.execute(_LAST_OF_RUN, {"run": run_id})
            rows += [row for row in done if row.timings and "predict" in row.timings]
            if len(rows) >= _OF_LAST:
                break
    photos = sum(row.size for row in rows)
    return sum(sum(of_stages(row.timings).values()) for row in rows) / 1000 / photos if photos else None


def of_night(db: Database, model: ModelRef) -> float | None:
    """Return the process seconds for one image in the model's newest night; None before the first night.

    Leaves out small runs, small chunks, and chunks whose files were only moved.
    """
    stages = stages_of_night(db, model)
    return sum(stages.values()) if stages else None


def stages_of_night(db: Database, model: ModelRef) -> dict[str, float] | None:
    """Return the process seconds for one image by stage, as `of_night`."""
    measured = (
        sa.select(chunks.c.size, chunks.c.timings)
        .where(chunks.c.run_id == _newest_night(model), chunks.c.state == ChunkState.DONE)
        .limit(_OF_NIGHT)
    )
    with db.read() as connection:
        rows = [
            row
            for row in connection.execute(measured)
            if row.size >= _LEAST_IMAGES and row.timings and "predict" in row.timings
        ]
    size = sum(row.size for row in rows)
    spent: dict[str, float] = {}
    for row in rows:
        for stage, milliseconds in of_stages(row.timings).items():
            spent[stage] = spent.get(stage, 0.0) + milliseconds
    return {stage: milliseconds / 1000 / size for stage, milliseconds in spent.items()} if size else None


def bytes_of_night(db: Database, model: ModelRef) -> int | None:
    """Return the mean bytes of a photo in the first chunks of the model's newest night; None without one."""
    some = sa.select(chunks.c.id).where(chunks.c.run_id == _newest_night(model)).limit(_OF_SIZES)
    query = sa.select(sa.func.avg(images.c.size)).where(images.c.chunk_id.in_(some))
    with db.read() as connection:
        found = connection.execute(query).scalar()
    return None if found is None else round(found)


def _newest_night(model: ModelRef) -> sa.ScalarSelect[int]:
    return (
        sa.select(runs.c.id)
        .select_from(RUNS_WITH_MODEL)
        .where(
            model_versions.c.name == model.name,
            model_versions.c.version == model.version,
            runs.c.kind.in_(OF_INTAKE),
            runs.c.seen >= _LEAST_IMAGES,
        )
        .order_by(runs.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )


def of_uploads(db: Database, run_id: int) -> float | None:
    """Return the process seconds for one image in the newest chunks of a run; None before the first.

    It is that of the chunk with the least: small chunks on a busy machine cost more for each image.
    """
    with db.read() as connection:
        rows = connection.execute(_UPLOADS, {"run": run_id}).all()
    costs = [
        sum(row.timings.get(stage, 0) for stage in _STAGES_OF_IMAGES) / 1000 / row.size
        for row in rows
        if row.timings and "predict" in row.timings
    ]
    return min(costs, default=None)
