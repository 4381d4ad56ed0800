"""How long pages take that show how often a model is right: `python -m benchmarks.model_accuracy`.

Writes the counts of 26 weeks of nights, in which each category has photos in each band of the probability,
into both databases, and asks a running web process for the pages. The first request and the median of the
later ones are printed in milliseconds.
"""

import argparse
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from benchmarks import machine
from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.records.accuracy import BANDS, MOST_WEEKS, NO_BAND
from returns_pipeline.settings import Settings
from returns_pipeline.store import bulk
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import model_versions, run_predictions, runs
from tests.databases import empty_database, postgres_server
from tests.web import Site, site

#: Milliseconds that a page may take.
GOAL_MS = 200
_PAGES = ("/models", "/api/v1/models/stub/accuracy", "/metrics", "/")
_REPEATED = 7
#: The first band of sure photos.
_SURE = 5
_COLUMNS = (
    *("run_id", "label", "is_sure", "band", "photos", "probability", "reviewed", "right_count"),
    *("weight", "right_weight", "square_weight"),
)


def main() -> None:
    """Measure both databases, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--labels", type=int, default=200)
    parser.add_argument("--nights", type=int, default=7 * MOST_WEEKS)
    asked = parser.parse_args()
    print(machine.as_line(machine.describe()))
    print(f"{asked.labels} categories, {asked.nights} nights. ms: first request, median of {_REPEATED} more")
    with postgres_server() as server:
        for kind in ("sqlite", "postgresql"):
            with tempfile.TemporaryDirectory(prefix="returns-bench-") as folder:
                _measure(kind, Path(folder), server, asked.labels, asked.nights)


def _measure(kind: str, folder: Path, server: str, labels: int, nights: int) -> None:
    with (
        empty_database(kind, folder, lambda: server) as url,
        site(folder, with_workers=False, database_url=url) as here,
    ):
        fill(here.home.settings, here.home.database, labels, nights)
        for path in _PAGES:
            first, *others = [_milliseconds(here, path) for _ in range(1 + _REPEATED)]
            middle = statistics.median(others)
            goal = "reached" if max(first, middle) <= GOAL_MS else "missed"
            print(f"{kind:<11} {path:<30} {first:6.0f} {middle:6.0f}  goal {GOAL_MS}: {goal}", flush=True)


def fill(settings: Settings, database: Database, labels: int, nights: int) -> None:
    """Write closed nights of the model `stub`, with the counts of each label in each band."""
    now = utc_now()
    bundle = find_bundle(settings.models_dir, "stub")
    model = {"id": 1, "name": "stub", "version": bundle.version, "sha256": bundle.digest, "metrics": {}}
    with database.write() as connection:
        connection.execute(sa.insert(model_versions).values(**model, created_at=now))
    for night in range(nights):
        opened = {"opened_at": now - timedelta(days=night, hours=1), "touched_at": now}
        state = {"kind": "nightly", "state": "closed", "audit_share": 0.05, "unsure": 1}
        rows = [
            (night + 1, f"category {label}", band >= _SURE, band, 40, 30.0, 4, 3, 40.0, 30.0, 400.0)
            for label in range(labels)
            for band in range(NO_BAND, len(BANDS) + 1)
        ]
        with database.write() as connection:
            place = {"id": night + 1, "request_id": f"night {night}", "model_version_id": 1}
            intake = str(settings.incoming_dir)
            connection.execute(sa.insert(runs).values(**place, **opened, **state, intake=intake))
            bulk.insert(connection, run_predictions, _COLUMNS, rows)


def _milliseconds(here: Site, path: str) -> float:
    began = time.perf_counter()
    response = here.page(path) if not path.startswith("/api") else here.ask("GET", path)
    response.raise_for_status()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
