"""`make faults`: inflicts every fault on both databases and prints a table of losses.

SEED repeats a run. ROUNDS repeats every fault with the following seeds. SCALE shortens runs and outages.
CONTROLS=2 and BEATS=2 run every fault with two control workers and two beats. ONLY is a part of the names of
the faults that are inflicted.
"""

import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.databases import migrated_database, postgres_server
from tests.faults.catalogue import FAULTS, Fault
from tests.faults.night import night
from tests.objects import s3_server


@dataclass
class Row:
    """One line of the table: a fault on one database, over all rounds."""

    fault: str
    database: str
    injected: int = 0
    images: int = 0
    lost: int = 0
    double: int = 0
    wrong: int = 0
    seconds: float = 0.0


def main() -> int:
    """Inflict every fault, print the table; return 1 if anything was lost, double or wrong."""
    seed = int(os.environ.get("SEED") or random.randrange(10**6))  # noqa: S311 - repeatable, not secret
    rounds, scale = int(os.environ.get("ROUNDS") or 1), float(os.environ.get("SCALE") or 1)
    console = Console(width=110)
    console.print(f"SEED={seed} ROUNDS={rounds} SCALE={scale}")
    with postgres_server() as server, s3_server() as store:
        rows = [
            _inflict(fault, kind, place, (server, store), range(seed, seed + rounds), scale, console)
            for fault in FAULTS
            if os.environ.get("ONLY", "") in fault.name
            for kind, place in fault.cases()
        ]
    table = Table(title=f"Faults: seed {seed}, {rounds} round(s), scale {scale:g}", title_justify="left")
    for name in ("fault", "database"):
        table.add_column(name)
    for name in ("injected", "images", "lost", "double", "wrong", "seconds"):
        table.add_column(name, justify="right")
    for row in rows:
        numbers = (row.injected, row.images, row.lost, row.double, row.wrong)
        table.add_row(row.fault, row.database, *(f"{number:,}" for number in numbers), f"{row.seconds:.0f}")
    console.print(table)
    return int(any(row.lost or row.double or row.wrong for row in rows))


def _inflict(
    fault: Fault,
    kind: str,
    place: str,
    servers: tuple[str, str],
    seeds: range,
    scale: float,
    console: Console,
) -> Row:
    """Inflict one fault; `servers` are those of PostgreSQL and S3."""
    server, store = servers[0], servers[1] if place == "s3" else None
    row = Row(f"{fault.name} (S3)" if store else fault.name, kind)
    for seed in seeds:
        began = time.monotonic()
        with (
            tempfile.TemporaryDirectory(prefix="fault-") as name,
            migrated_database(kind, Path(name), lambda: server) as url,
            night(
                Path(name), url, seed, scale, fault.has_sentinels, store, fault.has_twins, **fault.settings
            ) as tonight,
        ):
            try:
                row.injected += fault.inflict(tonight)
            except AssertionError as error:
                row.wrong += 1
                console.print(f"{row.fault}, {kind}, SEED={seed}: {error}")
            found = tonight.audit()
        row.images += found.images
        row.lost += found.lost
        row.double += found.double
        row.wrong += len(found.wrong)
        for line in found.wrong[:5]:
            console.print(f"{row.fault}, {kind}, SEED={seed}: {line}")
        row.seconds += time.monotonic() - began
    console.print(f"{row.fault}, {kind}: {row.injected} times, {row.images:,} images, {row.lost} lost")
    return row


if __name__ == "__main__":
    sys.exit(main())
