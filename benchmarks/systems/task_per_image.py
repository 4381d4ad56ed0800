"""One task an image, as in Celery's tutorials: a message, a prediction and a commit for each."""

import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.home import own_settings
from benchmarks.measuring import Job, Measurement, require_rows, started
from benchmarks.systems import task_app
from returns_pipeline.errors import PipelineError
from returns_pipeline.host.embedded import Processes

if TYPE_CHECKING:
    from subprocess import Popen

    from celery import Celery

_MAX_WARM_UPS = 60
_WARM_SECONDS = 120
_ROUND_SECONDS = 1800


def measure(job: Job) -> Measurement:
    """Send a task for each image, `job.rounds` times: from the first message to the last result.

    Starting, loading the models and some images to warm up are not timed.
    """
    settings = own_settings(job)  # only for the embedded Redis
    database = job.work / "rows.sqlite3"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(task_app.TABLE)
    environment = {
        task_app.BROKER: settings.broker_url,
        task_app.BUNDLE: str(job.bundle),
        task_app.DATABASE: str(database),
    }
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "benchmarks.systems.task_app",
        "worker",
        "-c",
        str(job.processes),
    ]
    app = task_app.make_app(settings.broker_url)
    files = [str(file) for file in job.files()]
    with Processes(settings) as processes:
        processes.start_redis()
        with (job.work / "worker.txt").open("wb") as log, started(command, log, environment) as worker:
            _warm_up(app, worker, files, job.processes)
            seconds = []
            for _ in range(job.rounds):
                with closing(sqlite3.connect(database)) as connection, connection:
                    connection.execute("DELETE FROM predictions")
                began = time.perf_counter()
                _classify(app, files)
                seconds.append(time.perf_counter() - began)
    rows, labels = _rows(database)
    require_rows(labels, job)
    return Measurement(seconds, rows, labels, {"processes": job.processes})


def _warm_up(app: "Celery", worker: "Popen[bytes]", files: list[str], processes: int) -> None:
    """Send small rounds until every process has loaded its model and classified an image."""
    seen: set[int] = set()
    for _ in range(_MAX_WARM_UPS):
        if worker.poll() is not None:
            raise PipelineError("The worker of one task an image has ended; see worker.txt.")
        seen |= _classify(app, (files * (4 * processes))[: 4 * processes], _WARM_SECONDS)
        if len(seen) >= processes:
            return
    raise PipelineError("A worker process never took a task.")


def _classify(app: "Celery", files: list[str], seconds: int = _ROUND_SECONDS) -> set[int]:
    """Send a task for each file and wait for all; return the ids of the processes that ran them."""
    results = [app.send_task("classify", args=[file]) for file in files]
    return {result.get(timeout=seconds)[1] for result in results}


def _rows(database: Path) -> tuple[int, dict[str, int]]:
    """Return the number of rows, and the label of each file."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT file, label FROM predictions").fetchall()
    return len(rows), dict(rows)
