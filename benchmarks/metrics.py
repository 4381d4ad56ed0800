"""What a scrape of /metrics costs with ten million photos open and twenty million done.

`python -m benchmarks.metrics [POSTGRESQL URL]`, by default on SQLite. It makes 1,000 closed nights of 10,000
photos and one that is half done with 20,000,000, in an empty database, and times the queries of open work.
None of them reads images, so there are none.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from returns_pipeline.records.chunks import ChunkState
from returns_pipeline.records.models import ModelFacts, ModelRef
from returns_pipeline.records.runs import RunKind, RunState
from returns_pipeline.store import images, models, nights, run_statistics
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import chunks, runs
from returns_pipeline.usecases import queue_work

_NIGHTS, _PHOTOS, _SIZE = 1_000, 10_000, 500
_OPEN_PHOTOS = 10_000_000
_TIMINGS = {"read": 20.0, "decode": 300.0, "predict": 400.0, "store": 30.0, "archive": 50.0}
_TIMES = 5


def main(url: str | None) -> None:
    """Print the least milliseconds of each query."""
    with tempfile.TemporaryDirectory(prefix="returns-metrics-") as work:
        database = Database(url or f"sqlite:///{Path(work) / 'metrics.sqlite3'}")
        database.upgrade()
        _fill(database)
        for name, query in (
            ("seconds of work left by queue", lambda: queue_work.seconds_left(database)),
            ("images done", lambda: run_statistics.done(database)),
            ("open work", lambda: images.open_work(database)),
            ("the newest night", lambda: nights.state(database, f"night {_NIGHTS}")),
            ("totals of closed runs", lambda: run_statistics.totals(database)),
        ):
            print(f"{name}: {_least(query):.1f} ms")
        database.close()


def _least(query: Callable[[], object]) -> float:
    taken = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        query()
        taken.append((time.perf_counter() - began) * 1000)
    return min(taken)


def _fill(database: Database) -> None:
    now = utc_now()
    with database.write() as connection:
        facts = ModelFacts(ModelRef("clothing", 1), "0" * 64, {})
        model = models.ensure(database, connection, facts)
        opened = now - timedelta(days=1)
        connection.execute(
            sa.insert(runs),
            [
                {
                    "id": number,
                    "request_id": f"night {number}",
                    "kind": RunKind.NIGHTLY,
                    "state": RunState.CLOSED if number < _NIGHTS else RunState.RUNNING,
                    "model_version_id": model,
                    "opened_at": opened,
                    "touched_at": opened,
                    "seen": _PHOTOS if number < _NIGHTS else 0,
                    "classified": _PHOTOS if number < _NIGHTS else 0,
                }
                for number in range(1, _NIGHTS + 1)
            ],
        )
        done = {"state": ChunkState.DONE, "size": _SIZE, "sent_at": now, "timings": _TIMINGS}
        closed = [done | {"run_id": run} for run in range(1, _NIGHTS) for _ in range(_PHOTOS // _SIZE)]
        connection.execute(sa.insert(chunks), closed)
        waiting = {"run_id": _NIGHTS, "state": ChunkState.OPEN, "size": _SIZE, "sent_at": now}
        half = [done | {"run_id": _NIGHTS}] * (_OPEN_PHOTOS // _SIZE)
        connection.execute(sa.insert(chunks), half)
        connection.execute(sa.insert(chunks), [waiting] * (_OPEN_PHOTOS // _SIZE))
    if not database.is_sqlite:
        with database.write() as connection:
            connection.exec_driver_sql("ANALYZE")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
