"""Plans a night: which machines, which database and how much money many photos need.

The costs of a photo are measured, or those of the model's last night in the database, or the shipped ones.
"""

import math
from typing import Any

from returns_pipeline.errors import RefusedError
from returns_pipeline.photos import chunking
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.plans import CostSource, Demand, Money, PhotoCosts, Plan, Prices
from returns_pipeline.settings import Settings
from returns_pipeline.store import costs
from returns_pipeline.store.database import Database

#: Of the cores that are bought so much may be used: chunks end at different moments, and nights differ.
_USED_SHARE = 0.85
_YEAR, _NIGHTS_OF_A_MONTH = 365, 30
_GB, _MB, _HOUR_MS = 1e9, 1e6, 3_600_000.0
#: Memory of a Redis without messages, MB.
_EMPTY_REDIS_MB = 3.0

# Measured by `python -m benchmarks.scale`, `benchmarks.redis_memory` and `benchmarks.objects`: docs/scale.md.
_ROW_BYTES = {"postgresql": 910, "sqlite": 660}
_COMPARED_BYTES = {"postgresql": 2_950, "sqlite": 2_060}
_WAL_BYTES = {"postgresql": 15_500, "sqlite": 0}
#: Of a server of its own; the time of SQLite is the workers'.
_DATABASE_MS = {"postgresql": 0.2, "sqlite": 0.0}
_REDIS_BYTES = 200
_OBJECT_REQUESTS = 3.07
_CONTROL_MS = 0.1
_COMPARE_MS = 2.8
#: Milliseconds of a core for a photo by model, and bytes of the photo: docs/scale.md.
_SHIPPED = {
    "clothing": (
        {"read": 0.06, "decode": 1.92, "predict": 5.6, "store": 0.13, "archive": 0.02},
        0.24,
        31_000,
    ),
    "fashion-mnist": (
        {"read": 0.009, "decode": 0.028, "predict": 0.08, "store": 0.013, "archive": 0.014},
        0.035,
        700,
    ),
}


def costs_of(settings: Settings, db: Database | None, model: ModelRef) -> PhotoCosts:
    """Return the costs of a photo: of the model's last night, else the shipped ones.

    Raises RefusedError for a model of the shop's own without a night.
    """
    night = costs.stages_of_night(db, model) if db else None
    if night is not None:
        photo_bytes = costs.bytes_of_night(db, model) if db else None
        _, other, size = _SHIPPED.get(model.name, _SHIPPED["clothing"])
        return with_shipped(settings, CostSource.NIGHTS, night, other, photo_bytes or size)
    if model.name not in _SHIPPED:
        raise RefusedError(
            "What a photo costs with {model} is not known: it has had no night here.",
            "Add --measure, with --folder for a folder of your photos.",
            model=str(model),
        )
    stages, other, size = _SHIPPED[model.name]
    in_seconds = {name: milliseconds / 1000 for name, milliseconds in stages.items()}
    return with_shipped(settings, CostSource.SHIPPED, in_seconds, other, size)


def with_shipped(
    settings: Settings,
    source: CostSource,
    stages: dict[str, float],
    other_ms: float,
    photo_bytes: int,
    control_ms: float = _CONTROL_MS,
) -> PhotoCosts:
    """Return the costs of a photo from its `stages`, in seconds of a core; other parts are as shipped."""
    kind = "sqlite" if settings.database_url.startswith("sqlite") else "postgresql"
    stages_ms = {name: 1000 * seconds for name, seconds in stages.items()}
    seconds = sum(stages.values())
    return PhotoCosts(
        source=source,
        stages_ms=stages_ms,
        other_ms=other_ms,
        control_ms=control_ms,
        compare_ms=_COMPARE_MS,
        chunk=settings.chunk_size or chunking.size_for(seconds, settings.chunk_seconds),
        photo_bytes=photo_bytes,
        redis_bytes_of_chunk=_REDIS_BYTES,
        object_requests=_OBJECT_REQUESTS,
        **_of_database(kind),
    )


def with_database(costs: PhotoCosts, kind: str) -> PhotoCosts:
    """Return costs with those of a database, `sqlite` or `postgresql`."""
    return costs._replace(**_of_database(kind))


def _of_database(kind: str) -> dict[str, Any]:
    return {
        "row_bytes": _ROW_BYTES[kind],
        "compared_bytes": _COMPARED_BYTES[kind],
        "wal_bytes": _WAL_BYTES[kind],
        "database_ms": _DATABASE_MS[kind],
    }


def plan(costs: PhotoCosts, demand: Demand, prices: Prices) -> Plan:
    """Return what a night needs. Pure."""
    photos = demand.photos
    core_hours = photos * costs.worker_ms / _HOUR_MS
    cores = core_hours / demand.hours
    processes = math.ceil(cores / _USED_SHARE)
    hours = core_hours / (demand.cores or cores)
    requests = round(photos * costs.object_requests) if demand.uses_objects else 0
    chunks = math.ceil(photos / costs.chunk)
    of_night = photos * costs.row_bytes / _GB
    compared = photos * costs.compared_bytes * demand.reuse_days / _GB
    photos_of_night = photos * costs.photo_bytes / _GB
    database = of_night * (demand.keep_rows_days or _YEAR) + compared
    kept = photos_of_night * (demand.keep_days or _YEAR)
    money = Money(
        workers=core_hours / _USED_SHARE * _NIGHTS_OF_A_MONTH * prices.core,
        storage=(database + kept) * prices.gb,
        requests=requests * _NIGHTS_OF_A_MONTH / 1e6 * prices.requests,
    )
    compare_hours = photos * costs.compare_ms / _HOUR_MS if demand.reuse_days else 0.0
    return Plan(
        core_hours=core_hours,
        cores=cores,
        processes=processes,
        machines=math.ceil(processes / demand.machine_cores),
        hours=hours,
        scan_hours=photos * costs.control_ms / _HOUR_MS,
        compare_hours=compare_hours,
        compare_processes=max(1, math.ceil(compare_hours / demand.hours)),
        chunks=chunks,
        redis_mb=_EMPTY_REDIS_MB + chunks * costs.redis_bytes_of_chunk / _MB,
        database_cores=photos * costs.database_ms / _HOUR_MS / demand.hours,
        wal_gb=photos * costs.wal_bytes / _GB,
        database_gb_of_night=of_night,
        database_gb=database,
        photos_gb_of_night=photos_of_night,
        photos_gb=kept,
        object_requests=requests,
        money=money,
    )
