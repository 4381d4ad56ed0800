"""The embedded pipeline: from sending the scan until the run is closed, with warm workers.

Job options: `settings`, which override the pipeline's settings; `classify_app`, the module of another Celery
app for images; `watch_memory`, whether the memory of the processes is sampled during the first round.
"""

import sqlite3
import time
import uuid
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from beat_schedule import beat_schedule
from benchmarks.home import own_settings
from benchmarks.measuring import Job, Measurement, Processors, link
from benchmarks.memory import Watch, growth
from returns_pipeline.broker.celery_queue import CeleryQueue, open_queue
from returns_pipeline.errors import PipelineError
from returns_pipeline.host.embedded import Processes
from returns_pipeline.host.follow import follow
from returns_pipeline.host.requests import Request
from returns_pipeline.records.runs import RunSummary
from returns_pipeline.records.tasks import Task
from returns_pipeline.settings import Settings
from returns_pipeline.store import images
from returns_pipeline.store.database import Database

_WARM_IMAGES = 64
_MAX_WARM_UPS = 20
_MAX_SECONDS, _POLL_SECONDS = 1800, 0.002
#: The share of a round by which polling may miss its end: the workers need the cores that polling takes.
_POLL_SHARE = 0.001


def measure(job: Job) -> Measurement:
    """Start Redis and the workers, warm them up, time the scan of the whole intake `job.rounds` times.

    Raises PipelineError if a run closes with an unclassified image.
    """
    settings = own_settings(job, worker_processes=job.processes, **job.options.get("settings", {}))
    database = Database(settings.database_url)
    database.upgrade()
    settings.incoming_dir.mkdir(parents=True)
    queue = open_queue(settings)
    detail: dict[str, Any] = {"processes": settings.worker_processes, "chunk_size": settings.chunk_size}
    with Processes(settings) as processes:
        processes.start_redis()
        processes.start_workers(job.options.get("classify_app", "workers.app"))
        _warm_up(job, settings, database, queue)
        rounds, processors = [], Processors()
        if job.options.get("watch_memory"):
            with Watch() as watch:
                rounds.append(_round(job.files(), settings, database, queue, processors))
            detail["memory"] = growth(watch.samples, _first_chunks(settings, rounds[0][1]))
        rounds += [
            _round(job.files(), settings, database, queue, processors)
            for _ in range(job.rounds - len(rounds))
        ]
    last = rounds[-1][1]
    results = list(images.results(database, last.id))
    database.close()
    return Measurement(
        seconds=[seconds for seconds, _ in rounds],
        rows=len(results),
        labels={Path(result.path).name: int(result.label_index or 0) for result in results},
        detail={
            **detail,
            "processor_seconds": processors.rounds,
            "runs": [_stages(settings, run, seconds) for seconds, run in rounds],
        },
    )


def _warm_up(job: Job, settings: Settings, database: Database, queue: CeleryQueue) -> None:
    """Let every worker process load its model, as it has on every night but the first after a start.

    Sends more small requests than there are processes, until each process has classified one.
    """
    paths = [str(file) for file in job.files(_WARM_IMAGES)]
    for _ in range(_MAX_WARM_UPS):
        requests = [str(uuid.uuid4()) for _ in range(2 * settings.worker_processes)]
        for request in requests:
            queue.send(Task.CLASSIFY_PATHS, paths, request_id=request)
        for request in requests:
            follow(database, queue, Request(request, request))
        seen = _query(settings, "SELECT count(DISTINCT worker) FROM chunks")
        if seen[0][0] >= settings.worker_processes:
            break
    else:
        raise PipelineError("A worker process never claimed a chunk.")
    # The process that scans prepares other statements.
    _round(job.files(_WARM_IMAGES), settings, database, queue, Processors())


def _round(
    files: Sequence[Path],
    settings: Settings,
    database: Database,
    queue: CeleryQueue,
    processors: Processors,
) -> tuple[float, RunSummary]:
    """Fill the intake; return the run of a scan, and the seconds from sending it until the run is closed.

    A closed run's photos are compared with earlier ones after it, which no night waits for. So a round begins
    when the photos of the round before are compared.
    """
    _wait_for(settings, "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM uncompared_chunks)")
    link(files, settings.incoming_dir)
    nightly = beat_schedule(settings)["nightly-scan"]
    request_id = str(uuid.uuid4())
    with processors.round():
        began = time.perf_counter()
        queue.send(Task(nightly["task"]), request_id=request_id, queue=nightly["options"]["queue"])
        _wait_for(settings, "SELECT 1 FROM runs WHERE request_id = ? AND state = 'closed'", request_id)
        seconds = time.perf_counter() - began
    run = follow(database, queue, Request(request_id, request_id))
    if run.counts.classified != len(files):
        raise PipelineError(f"Run {run.id} classified {run.counts.classified} of {len(files)} images.")
    return seconds, run


def _wait_for(settings: Settings, query: str, *values: str) -> None:
    """Wait until a query has a row. Polls more often than `follow`, and more cheaply.

    Raises PipelineError after `_MAX_SECONDS`.
    """
    began = time.monotonic()
    with closing(sqlite3.connect(settings.home / "returns.sqlite3")) as connection:
        while connection.execute(query, values).fetchone() is None:
            waited = time.monotonic() - began
            if waited > _MAX_SECONDS:
                raise PipelineError(f"The pipeline was not done within {_MAX_SECONDS} s; see its logs.")
            time.sleep(max(_POLL_SECONDS, _POLL_SHARE * waited))


def _stages(settings: Settings, run: RunSummary, seconds: float) -> dict[str, Any]:
    """Return how long each stage of a run took.

    `stages_ms_per_1000` is the work of all processes together, in milliseconds for 1,000 images.
    `scan_seconds` is the time from opening the run to sending its last chunk, `classify_seconds` the time
    from opening it to finishing its last chunk. `other_seconds` is the rest of `seconds`.
    """
    rows = _query(
        settings,
        "SELECT key, sum(value) FROM chunks, json_each(chunks.timings) WHERE run_id = ? GROUP BY key",
        run.id,
    )
    spans = _query(
        settings,
        "SELECT r.opened_at, max(c.sent_at), max(c.finished_at) "
        "FROM chunks c JOIN runs r ON r.id = c.run_id WHERE r.id = ?",
        run.id,
    )
    opened, sent, finished = (datetime.fromisoformat(moment) for moment in spans[0])
    classifying = (finished - opened).total_seconds()
    thousands = run.counts.seen / 1000
    return {
        "run_seconds": run.seconds,
        "stages_ms_per_1000": {stage: round(spent / thousands, 2) for stage, spent in rows},
        "scan_seconds": round((sent - opened).total_seconds(), 3),
        "classify_seconds": round(classifying, 3),
        "other_seconds": round(seconds - classifying, 3),
    }


def _first_chunks(settings: Settings, run: RunSummary) -> dict[int, float]:
    """Return when each worker process finished its first chunk of a run: process id -> Unix time."""
    rows = _query(
        settings, "SELECT worker, min(finished_at) FROM chunks WHERE run_id = ? GROUP BY worker", run.id
    )
    return {
        int(worker.rpartition(":")[2]): datetime.fromisoformat(finished).replace(tzinfo=UTC).timestamp()
        for worker, finished in rows
    }


def _query(settings: Settings, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(settings.home / "returns.sqlite3")) as connection:
        return connection.execute(sql, values).fetchall()
