"""Seconds that `returns-pipeline --help` and `returns-pipeline status` take."""

import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping

from benchmarks.home import own_settings
from benchmarks.measuring import Job, Measurement
from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.host.embedded import Processes
from returns_pipeline.host.follow import follow
from returns_pipeline.host.requests import Request
from returns_pipeline.records.tasks import Task
from returns_pipeline.settings import environment_of
from returns_pipeline.store.database import Database

_MIN_TIMES = 5
_RUNS = 5
_MAX_SECONDS = 60


def measure(job: Job) -> Measurement:
    """Time whole processes, `job.rounds` times but at least five. `status` has workers and some runs.

    The seconds of the measurement are those of `--help`.
    """
    settings = own_settings(job, worker_processes=1)
    database = Database(settings.database_url)
    database.upgrade()
    queue = open_queue(settings)
    environment = {**os.environ, **environment_of(settings)}
    times = max(job.rounds, _MIN_TIMES)
    with Processes(settings) as processes:
        processes.start_redis()
        processes.start_workers()
        for _ in range(_RUNS):
            request = str(uuid.uuid4())
            queue.send(Task.CLASSIFY_PATHS, [str(file) for file in job.files(1)], request_id=request)
            follow(database, queue, Request(request, request))
        help_seconds = _timed(("--help",), environment, times)
        status_seconds = _timed(("status",), environment, times)
    database.close()
    return Measurement(
        help_seconds,
        rows=times,
        labels={},
        detail={
            "help_seconds": round(statistics.median(help_seconds), 3),
            "status_seconds": round(statistics.median(status_seconds), 3),
        },
    )


def _timed(arguments: tuple[str, ...], environment: Mapping[str, str], times: int) -> list[float]:
    """Return the seconds of each call. A first call, which may write bytecode, is not timed."""
    seconds = []
    for _ in range(times + 1):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "returns_pipeline.cli", *arguments],
            env=environment,
            stdout=subprocess.DEVNULL,
            timeout=_MAX_SECONDS,
            check=True,
        )
        seconds.append(time.perf_counter() - began)
    return seconds[1:]
