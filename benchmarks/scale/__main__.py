"""`python -m benchmarks.scale`: each step among a few and many photos, in turns, and the bytes of a photo.

It makes both databases by SQL and deletes them at the end. Among 10,000,000 photos SQLite needs about 8 GB,
PostgreSQL about 15 GB. What counts is the processor time of this process, of the database and of the web, so
that other programs disturb little; all pages that a step reads are in the memory of the system.
"""

import json
import logging
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import structlog
import typer
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.scale import filling
from benchmarks.scale.steps import CHUNK, CHUNKS, Site, Steps
from returns_pipeline.classify.bundle import Bundle
from tests.databases import migrated_database, postgres_server, server_cpu_seconds, server_process
from tests.support import write_stub_bundle

#: The goal: a step among many photos takes at most so many times as long as among a few.
_GOAL = 2.0
#: Bytes of the disk that a photo needs while the indexes are built.
_BYTES = {"sqlite": 1400, "postgresql": 2200}


def scale(
    images: Annotated[int, typer.Option(min=100_000, help="Photos of the large database.")] = 10_000_000,
    base: Annotated[int, typer.Option(min=60_000, help="Photos of the small one.")] = 100_000,
    database: Annotated[Literal["sqlite", "postgresql"], typer.Option(help="The database.")] = "postgresql",
    rounds: Annotated[int, typer.Option(min=2, help="Turns; the first does not count.")] = 6,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure each step at both sizes, in turns, and the size of each table and index."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    # So that a stopped measurement deletes its databases.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    about = machine.describe()
    folder = tempfile.mkdtemp(prefix="returns-bench-")
    try:
        free = shutil.disk_usage(folder).free
        if free < (images + base) * _BYTES[database]:
            raise SystemExit(f"{images:,} photos need {images * _BYTES[database] / 1e9:.0f} GB of disk here.")
        found = _measure(Path(folder), database, images, base, rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found = {"machine": about, "database": database, "images": images, "base": base, **found}
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return
    print(machine.as_line(about))
    Console(width=110).print(_table(found))
    Console(width=110).print(_sizes(found))
    for name, value in found["night"].items():
        print(f"{name}: {value:,.1f}")


def _measure(folder: Path, kind: str, images: int, base: int, rounds: int) -> dict[str, Any]:
    bundle = write_stub_bundle(folder / "models")
    with ExitStack() as stack:
        server = stack.enter_context(postgres_server()) if kind == "postgresql" else ""
        sites: dict[int, Site] = {}
        filled: dict[int, float] = {}
        for count in (base, images):
            home = folder / str(count)
            home.mkdir()
            url = stack.enter_context(migrated_database(kind, home, lambda: server))
            filled[count] = filling.fill(url, bundle, count)
            sites[count] = stack.enter_context(_site(url, home / "home", bundle, server))
            print(f"{count:,} photos filled in {filled[count]:.0f} s", file=sys.stderr, flush=True)
        sizes = filling.sizes(sites[images].db, images)
        cpu, wal = _cpu(server), sites[images].wal_bytes()
        turns = [{count: site.night() for count, site in sites.items()} for _ in range(rounds)]
        count = rounds * CHUNK * CHUNKS
        night = {
            "WAL bytes for a photo of a night": (sites[images].wal_bytes() - wal) / count,
            "µs of the server for a photo of a night": 1e6 * (_cpu(server) - cpu) / (2 * count),
        }
        if server:
            dead, seconds = sites[images].vacuum()
            night |= {"dead row versions of a photo": dead / count, "seconds of VACUUM images": seconds}
        days = [{count: site.day() for count, site in sites.items()} for _ in range(rounds)]
        loads = {number: stack.enter_context(site.pages()) for number, site in sites.items()}
        pages = [{number: load() for number, load in loads.items()} for _ in range(rounds)]
        steps = [step for each in (turns, days, pages) for step in _steps(each[1:], base, images)]
    return {"filled_seconds": filled, "steps": steps, "bytes": sizes, "night": night if server else {}}


@contextmanager
def _site(url: str, home: Path, bundle: Bundle, server: str) -> Iterator[Site]:
    site = Site(url, home, bundle, server_process(server) if server else 0)
    try:
        yield site
    finally:
        site.close()


def _cpu(server: str) -> float:
    return server_cpu_seconds(server) if server else 0.0


def _steps(turns: list[dict[int, Steps]], base: int, images: int) -> Iterator[dict[str, Any]]:
    """Yield the milliseconds of each step at both sizes: of the turn that waited least for other programs."""
    for name in turns[0][base]:
        few, many = (1000 * min(turn[count][name].processor for turn in turns) for count in (base, images))
        clocks = [1000 * min(turn[count][name].clock for turn in turns) for count in (base, images)]
        yield {
            "step": name,
            "base_ms": round(few, 4),
            "ms": round(many, 4),
            "base_clock_ms": round(clocks[0], 4),
            "clock_ms": round(clocks[1], 4),
            "ratio": round(many / few, 2),
            "verdict": "reached" if many <= _GOAL * few else "missed",
        }


def _table(found: Mapping[str, Any]) -> Table:
    table = Table(
        title=f"{found['database']}: milliseconds of the processor, goal at most {_GOAL:g} times",
        title_justify="left",
    )
    table.add_column("step")
    for name in (f"{found['base']:,}", f"{found['images']:,}", "times"):
        table.add_column(name, justify="right")
    table.add_column("")
    table.add_column("by the clock", justify="right")
    for step in found["steps"]:
        table.add_row(
            step["step"],
            f"{step['base_ms']:.3f}",
            f"{step['ms']:.3f}",
            f"{step['ratio']:.2f}",
            step["verdict"],
            f"{step['base_clock_ms']:.3f} {step['clock_ms']:.3f}",
        )
    return table


def _sizes(found: Mapping[str, Any]) -> Table:
    table = Table(title=f"bytes for a photo, of {found['images']:,}", title_justify="left")
    table.add_column("table or index")
    table.add_column("bytes", justify="right")
    for name, parts in found["bytes"].items():
        for part, size in parts.items():
            table.add_row(part if part == name else f"  {part}", f"{size:,.1f}")
        table.add_section()
    table.add_row("all", f"{sum(sum(parts.values()) for parts in found['bytes'].values()):,.1f}")
    return table


if __name__ == "__main__":
    typer.run(scale)
