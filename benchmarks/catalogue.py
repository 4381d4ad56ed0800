"""How fast products are imported: `python -m benchmarks.catalogue [--products N] [--json]`.

Writes generated products as CSV and as one JSON list, and imports them into both databases: the whole file,
the same again, a daily file with other prices and stocks, and the whole file without a tenth of the products.
Then it asks for lists. Prints seconds and the largest growth of the resident memory.
"""

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from returns_pipeline.records.catalogue import ProductFilter
from returns_pipeline.settings import settings_of_home
from returns_pipeline.store import products
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.catalogue import ImportOptions, import_path
from tests.databases import empty_database, postgres_server

#: Seconds that a step may take for 100,000 products.
GOALS = {"first": 60.0, "again": 10.0, "daily": 20.0, "complete": 10.0}
_TYPES = ("Tshirts", "Jeans", "Dresses", "Jackets", "Sneakers", "Watches", "Handbags", "Belts")
_COLOURS = ("Black", "White", "Navy Blue", "Red", "Green", "Grey", "Pink", "Brown")
_WORDS = ("classic", "slim", "printed", "cotton", "running", "leather", "summer", "casual", "sport", "urban")
#: A list of each kind: frequent and rare words, filters, and both.
LISTS = {
    "everything": ProductFilter(),
    "frequent word": ProductFilter("classic"),
    "two words": ProductFilter("classic navy"),
    "id": ProductFilter("SKU-0004711"),
    "nothing": ProductFilter("xylophone"),
    "category": ProductFilter(category="Apparel"),
    "brand": ProductFilter(brand="Brand 7"),
    "word, category, brand": ProductFilter("slim", "Apparel/Jeans", "Brand 7"),
    "discontinued": ProductFilter(state="discontinued"),
}


def rows(count: int, day: int) -> Iterator[dict[str, Any]]:
    """Yield products; each day a tenth of them has another price and stock."""
    chance = random.Random(15)  # noqa: S311 - test data
    for number in range(count):
        kind = _TYPES[number % len(_TYPES)]
        words = " ".join(chance.sample(_WORDS, 3))
        changes = day if number % 10 == day % 10 else 0
        yield {
            "id": f"SKU-{number:07}",
            "title": f"Brand {number % 400} {words} {kind} {_COLOURS[number % 7]}",
            "brand": f"Brand {number % 400}",
            "category": f"Apparel/{kind}",
            "price": round(5 + number % 9000 / 37 + changes, 2),
            "currency": "EUR",
            "rating": round(1 + number % 40 / 10, 1),
            "stock": number % 50 + changes,
            "colour": _COLOURS[number % 8],
            "season": ("Summer", "Winter")[number % 2],
            "material": _WORDS[number % 10],
            "description": f"{words} ".capitalize() * 8,
        }


def write(folder: Path, count: int) -> dict[str, Path]:
    """Write the files; return them by step."""
    found = {"first": folder / "products.csv", "json": folder / "products.json"}
    found |= {"daily": folder / "daily.csv", "complete": folder / "complete.csv"}
    _write_csv(found["first"], list(rows(count, 0)))
    _write_csv(found["complete"], [row for row in rows(count, 0) if not row["id"].endswith("9")])
    daily = ({name: row[name] for name in ("id", "price", "stock")} for row in rows(count, 1))
    _write_csv(found["daily"], list(daily))
    nested = [{**row, "price": {"amount": row["price"]}} for row in rows(count, 0)]
    found["json"].write_text(json.dumps({"products": nested}), encoding="utf-8")
    return {"first": found["first"], "again": found["first"], **found}


def _write_csv(path: Path, listed: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(listed[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(listed)


def child(path: Path, url: str, home: Path, is_complete: bool) -> None:
    """Import a file and print the measurements as JSON."""
    settings = settings_of_home(home, database_url=url, log_level="ERROR")
    database = Database(url)
    before = _peak_mib()
    began, cpu = time.monotonic(), time.process_time()
    found = import_path(settings, database, path, "benchmark", ImportOptions({}, is_complete))
    measured = {
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "growth_mib": round(_peak_mib() - before),
    }
    print(json.dumps({**measured, **found.counts._asdict()}))


def lists(url: str) -> dict[str, float]:
    """Return the milliseconds of a page of each list with its total: the second of two runs."""
    database = Database(url)
    found = {}
    for name, wanted in LISTS.items():
        for _ in range(2):
            began = time.monotonic()
            products.page(database, wanted, None, 50)
            products.count(database, wanted)
            found[name] = round((time.monotonic() - began) * 1000, 1)
    database.close()
    return found


def _measure(path: Path, url: str, home: Path, step: str) -> dict[str, Any]:
    arguments = [str(path), url, str(home), step]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.catalogue", "--child", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _print(found: dict[str, Any]) -> None:
    goal = f" (goal {GOALS[found['step']]:.0f} s)" if found["step"] in GOALS else ""
    print(
        f"{found['database']:<11} {found['step']:<9} {found['lines']:>9,} lines {found['seconds']:>6} s"
        f"{goal}, "
        f"{found['cpu_seconds']} s of CPU in this process, {found['growth_mib']} MiB, "
        f"added {found['added']:,}, changed {found['changed']:,}, unchanged {found['unchanged']:,}, "
        f"refused {found['refused']:,}, discontinued {found['discontinued']:,}",
        flush=True,
    )


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """Measure each step on both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="Print JSON instead of lines.")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        path, url, home, step = chosen.child
        child(Path(path), url, Path(home), step == "complete")
        return
    results = []
    with tempfile.TemporaryDirectory(prefix="returns-bench-") as name, postgres_server() as server:
        folder = Path(name)
        files = write(folder, chosen.products)
        for kind in ("sqlite", "postgresql"):
            home = folder / kind
            home.mkdir()
            with empty_database(kind, home, lambda: server) as url:
                database = Database(url)
                database.upgrade()
                database.close()
                for step, path in files.items():
                    found = {**_measure(path, url, home, step), "database": kind, "step": step}
                    results.append(found)
                    if not chosen.json:
                        _print(found)
                results.append({"database": kind, "lists_ms": lists(url)})
                if not chosen.json:
                    print(f"{kind:<11} lists, ms: {results[-1]['lists_ms']}", flush=True)
    if chosen.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
