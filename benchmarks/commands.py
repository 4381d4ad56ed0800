"""How long a person waits for `returns-pipeline --help` and `returns-pipeline status`."""

import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping

from benchmarks.home import own_settings
from benchmarks.measuring import Job, Measurement, main
from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.host.embedded import Processes
from returns_pipeline.host.follow import follow
from returns_pipeline.records.tasks import Task
from returns_pipeline.settings import environment_of
from returns_pipeline.store.database import Database

_LEAST_TIMES = 5
_RUNS = 5
_MOST_SECONDS = 60


def measure(job: Job) -> Measurement:
    """Time whole processes, `job.rounds` times but at least five; status with workers up and some runs.

    The seconds are those of `--help`.
    """
    settings = own_settings(job, worker_processes=1)
    database = Database(settings.database_url)
    database.upgrade()
    queue = open_queue(settings)
    environment = {**os.environ, **environment_of(settings)}
    times = max(job.rounds, _LEAST_TIMES)
    with Processes(settings) as processes:
        processes.start_redis()
        processes.start_workers()
        for _ in range(_RUNS):
            request = str(uuid.uuid4())
            queue.send(Task.CLASSIFY_PATHS, [str(file) for file in job.files(1)], request_id=request)
            follow(database, queue, request)
        helped = _timed(("--help",), environment, times)
        status = _timed(("status",), environment, times)
    database.close()
    return Measurement(
        helped,
        rows=times,
        labels={},
        detail={
            "help_seconds": round(statistics.median(helped), 3),
            "status_seconds": round(statistics.median(status), 3),
        },
    )


def _timed(arguments: tuple[str, ...], environment: Mapping[str, str], times: int) -> list[float]:
    """Return the seconds of each of so many calls; one before, which may write bytecode, is not timed."""
    seconds = []
    for _ in range(times + 1):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "returns_pipeline.cli", *arguments],
            env=environment,
            stdout=subprocess.DEVNULL,
            timeout=_MOST_SECONDS,
            check=True,
        )
        seconds.append(time.perf_counter() - began)
    return seconds[1:]


if __name__ == "__main__":
    main(measure)
