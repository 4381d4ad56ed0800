"""How fast returns are imported: `python -m benchmarks.returns [--lines N] [--rows N] [--json]`.

Writes a CSV file and a workbook of generated returns, imports each of them twice into both databases, and
prints seconds, the load of the machine, the seconds of the processor, and the largest growth of the resident
memory. SQLite works in the process of the import, PostgreSQL in its own.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from returns_pipeline.settings import settings_of_home
from returns_pipeline.store.database import Database
from tests.databases import empty_database, postgres_server, server_cpu_seconds

HEADER = ("number", "order", "expected", "product", "title", "customer", "date", "note")
_LABELS = ("ankle boot", "bag", "coat", "dress", "pullover", "sandal", "shirt", "sneaker", "trouser")
#: Seconds that an import may take: of a million lines of CSV, and of 100,000 rows of a workbook.
GOALS = {("csv", "postgresql"): 60.0, ("csv", "sqlite"): 90.0, ("xlsx", "postgresql"): 60.0}
GOALS["xlsx", "sqlite"] = 60.0


def rows(count: int, seed: int = 14) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a manifest, in no order, as a shop's program writes them."""
    chance = random.Random(seed)  # noqa: S311 - test data
    numbers = list(range(count))
    chance.shuffle(numbers)
    first = date(2026, 1, 1)
    for number in numbers:
        yield (
            f"RMA-{number:08}",
            f"B{chance.randrange(10**9):09}",
            _LABELS[number % len(_LABELS)],
            f"SKU-{chance.randrange(50_000):05}",
            f"Article {number % 977}, size {36 + number % 12}",
            f"K{chance.randrange(400_000):06}",
            (first + timedelta(days=number % 300)).isoformat(),
            "" if number % 3 else "does not fit",
        )


def write_csv(path: Path, count: int) -> None:
    """Write a manifest of `count` lines as CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerow(HEADER)
        writer.writerows(rows(count))


def write_workbook(path: Path, count: int) -> None:
    """Write a manifest of `count` rows as a workbook with shared texts, as Excel does."""
    from xlsxwriter import Workbook

    book = Workbook(path)
    sheet = book.add_worksheet()
    for place, row in enumerate((HEADER, *rows(count))):
        sheet.write_row(place, 0, row)
    book.close()


def measure(path: Path, url: str, home: Path) -> dict[str, Any]:
    """Import a file in a process of its own; return the seconds, the counts and the growth in MiB."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.returns", "--child", str(path), url, str(home)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def child(path: Path, url: str, home: Path) -> None:
    """Import a file and print the measurements as JSON."""
    import openpyxl  # noqa: F401 - not counted as growth

    from returns_pipeline.usecases.manifests import import_file

    settings = settings_of_home(home, database_url=url, log_level="ERROR")
    database = Database(url)
    before = _peak_mib()
    began, cpu = time.monotonic(), time.process_time()
    found = import_file(settings, database, path, "benchmark", {})
    seconds = time.monotonic() - began
    measured = {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "growth_mib": round(_peak_mib() - before),
    }
    print(json.dumps({**measured, **found.counts._asdict()}))


def _print(found: dict[str, Any]) -> None:
    print(
        f"{found['form']:<5} {found['database']:<11} {'again' if found['again'] else 'first':<6} "
        f"{found['lines']:>9,} lines {found['seconds']:>7} s (goal {found['goal']:.0f} s; "
        f"load {found['load']}), CPU {found['cpu_seconds']} s, PostgreSQL's {found['server_cpu_seconds']} s, "
        f"{found['growth_mib']} MiB, added {found['added']:,}, unchanged {found['unchanged']:,}, "
        f"refused {found['refused']:,}",
        flush=True,
    )


def _peak_mib() -> float:
    """Return the largest resident memory of this process. It is not that of the parent, as ru_maxrss is."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """Measure both kinds of files on both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000, help="Lines of the CSV file.")
    parser.add_argument("--rows", type=int, default=100_000, help="Rows of the workbook.")
    parser.add_argument("--json", action="store_true", help="Print JSON instead of lines.")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        child(Path(chosen.child[0]), chosen.child[1], Path(chosen.child[2]))
        return
    results = []
    with tempfile.TemporaryDirectory(prefix="returns-bench-") as name, postgres_server() as server:
        folder = Path(name)
        write_csv(folder / "returns.csv", chosen.lines)
        write_workbook(folder / "returns.xlsx", chosen.rows)
        for kind in ("postgresql", "sqlite"):
            for form in ("csv", "xlsx"):
                home = folder / f"{kind}-{form}"
                home.mkdir()
                with empty_database(kind, home, lambda: server) as url:
                    database = Database(url)
                    database.upgrade()
                    database.close()
                    for again in (False, True):
                        before = server_cpu_seconds(server)
                        found = measure(folder / f"returns.{form}", url, home)
                        found |= {"database": kind, "form": form, "again": again, "goal": GOALS[form, kind]}
                        found["server_cpu_seconds"] = round(server_cpu_seconds(server) - before, 1)
                        found["load"] = round(os.getloadavg()[0], 1)
                        results.append(found)
                        if not chosen.json:
                            _print(found)
    if chosen.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
