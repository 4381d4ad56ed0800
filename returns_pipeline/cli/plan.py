"""`returns-pipeline plan`: which machines, which database and how much money a night needs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.options import Json

if TYPE_CHECKING:
    from returns_pipeline.records.plans import Demand, Money, PhotoCosts, Plan, Prices
    from returns_pipeline.settings import Settings
    from returns_pipeline.store.database import Database

#: Where the costs of a photo are from, by CostSource.
_SOURCES = {
    "measured": "measured on this machine now",
    "nights": "as in the last night of this model here",
    "shipped": "as measured for this release; --measure measures it here",
}

#: An infinite price has no place in JSON.
_MAX_PRICE = 1e9


def plan(
    photos: Annotated[int, typer.Option(min=1, max=10**12, help="Photos of a night.")],
    hours: Annotated[float, typer.Option(min=0.01, max=24, help="Hours that the night may last.")] = 4.0,
    model: Annotated[str, typer.Option(help="NAME or NAME/VERSION. Default: RETURNS_MODEL.")] = "",
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure the processor time of a photo on this machine first.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="With --measure: a folder of photos. Default: drawn ones."
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long --measure takes, about.")] = 10.0,
    cores: Annotated[
        float | None, typer.Option(min=0.01, help="How long would a night take with so many cores?")
    ] = None,
    machine_cores: Annotated[int, typer.Option(min=1, max=10_000, help="Cores of a machine.")] = 16,
    database: Annotated[
        Literal["sqlite", "postgresql"] | None, typer.Option(help="Default: that of RETURNS_DATABASE_URL.")
    ] = None,
    price_core: Annotated[
        float, typer.Option(min=0, max=_MAX_PRICE, help="The price of an hour of a core.")
    ] = 0.0,
    price_gb: Annotated[
        float, typer.Option(min=0, max=_MAX_PRICE, help="The price of a GB of storage for a month.")
    ] = 0.0,
    price_requests: Annotated[
        float,
        typer.Option(min=0, max=_MAX_PRICE, help="The price of a million requests to an object store."),
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Compute what a night of many photos needs: machines, database, storage, requests and money."""
    from returns_pipeline.records.places import is_object
    from returns_pipeline.records.plans import Demand, Prices
    from returns_pipeline.settings import load_settings
    from returns_pipeline.usecases import planning

    settings = load_settings()
    cost = _costs(settings, model or settings.model, folder, seconds if measure or folder else None)
    if database:
        cost = planning.with_database(cost, database)
    demand = Demand(
        photos=photos,
        hours=hours,
        cores=cores,
        machine_cores=machine_cores,
        keep_days=settings.keep_days,
        keep_rows_days=settings.keep_rows_days,
        reuse_days=settings.reuse_days,
        uses_objects=any(is_object(str(intake.folder)) for intake in settings.every_intake),
    )
    prices = Prices(price_core, price_gb, price_requests)
    found = planning.plan(cost, demand, prices)
    if as_json:
        console.print_json(_as_dict(cost, demand, found))
        return
    for line in [*_lines(cost, demand, found), *_money(prices, found.money)]:
        console.print_line(line)


def _costs(settings: "Settings", model: str, folder: Path | None, seconds: float | None) -> "PhotoCosts":
    """Return the costs of a photo of a model; measured for some `seconds`, or as the database knows them."""
    from returns_pipeline.usecases import model_store, planning

    database = _database(settings)
    bundle = model_store.find(settings, _version(database, model))
    if seconds is None:
        return planning.costs_of(settings, database, bundle.ref)
    from returns_pipeline.host.plan_measuring import measure

    return measure(settings, bundle, folder, seconds)


def _database(settings: "Settings") -> "Database | None":
    """Return the installation's database; None if there is none yet, or it does not answer."""
    from returns_pipeline.errors import ConfigFault
    from returns_pipeline.store.database import open_database

    try:
        return open_database(settings.database_url)
    except ConfigFault:
        return None


def _version(database: "Database | None", model: str) -> str:
    from returns_pipeline.store import models

    version = models.active_version(database, model) if database and "/" not in model else None
    return model if version is None else f"{model}/{version}"


def _as_dict(cost: "PhotoCosts", demand: "Demand", found: "Plan") -> dict[str, Any]:
    money = {**found.money._asdict(), "total": found.money.total}
    return {
        **{name: getattr(demand, name) for name in ("photos", "cores", "machine_cores")},
        "wanted_hours": demand.hours,
        "photo": {**cost._asdict(), "worker_ms": cost.worker_ms},
        "plan": {**found._asdict(), "money": money},
    }


def _lines(cost: "PhotoCosts", demand: "Demand", found: "Plan") -> list[str]:
    from returns_pipeline.report.words import counted

    stages = ", ".join(f"{name} {ms:.2f}" for name, ms in cost.stages_ms.items())
    lines = [
        f"A photo: {cost.worker_ms:.2f} ms of a core ({stages}, other {cost.other_ms:.2f}), "
        f"{_SOURCES[cost.source]}.",
        f"Workers: {found.core_hours:,.1f} core hours; {found.cores:,.1f} cores for {demand.hours:g} hours, "
        f"{counted(found.processes, 'process', 'processes')} with a reserve: "
        f"{counted(found.machines, 'machine')} of {demand.machine_cores} cores.",
        f"Control: {found.scan_hours:.2f} hours of one process for scan and report, "
        f"then {found.compare_hours:.2f} for the comparison with earlier photos{_divided(found)}.",
        f"Redis: {found.redis_mb:,.1f} MB if all {found.chunks:,} chunks wait.",
        *_database_lines(demand, found),
        f"Photos: {found.photos_gb_of_night:,.1f} GB a night, {found.photos_gb:,.0f} GB"
        f"{_until(demand.keep_days)}.",
    ]
    if demand.uses_objects:
        lines.append(f"Object store: {found.object_requests:,} requests a night.")
    if demand.cores:
        lines.insert(2, f"With {demand.cores:,.1f} cores, the night lasts {found.hours:.2f} hours.")
    return lines


def _divided(found: "Plan") -> str:
    """Return how many control workers do the comparison in the hours of a night, if one does not."""
    if found.compare_processes == 1:
        return ""
    hours = found.compare_hours / found.compare_processes
    return f", or {hours:.2f} hours of each of {found.compare_processes} control workers"


def _database_lines(demand: "Demand", found: "Plan") -> list[str]:
    load = f"{found.database_cores:.2f} cores and {found.wal_gb:,.1f} GB of log in a night; "
    compared = f", with what photos of {demand.reuse_days} days are compared by" if demand.reuse_days else ""
    return [
        f"Database: {load if found.wal_gb else ''}"
        f"{found.database_gb_of_night:,.2f} GB of rows a night; "
        f"{found.database_gb:,.0f} GB{_until(demand.keep_rows_days)}{compared}."
    ]


def _money(prices: "Prices", money: "Money") -> list[str]:
    """Return the line about money; none without a price. A part without a price is not named."""
    parts = (
        (prices.core, money.workers, "cores"),
        (prices.gb, money.storage, "storage"),
        (prices.requests, money.requests, "requests"),
    )
    named = [f"{amount:,.2f} for {name}" for price, amount, name in parts if price]
    if not named:
        return []
    total = f"; {money.total:,.2f} in all" if len(named) > 1 else ""
    return [f"A month of 30 nights: {', '.join(named)}{total}."]


def _until(days: int) -> str:
    return f" after {days} days" if days else " after a year"
