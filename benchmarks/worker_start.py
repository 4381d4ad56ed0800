"""How long a new worker process needs until it classifies, and how much memory it takes then."""

import statistics
import time
import uuid

import psutil
import sqlalchemy as sa

from benchmarks.home import own_settings
from benchmarks.measuring import Job, Measurement, main
from returns_pipeline.broker.celery_queue import CeleryQueue, open_queue
from returns_pipeline.errors import PipelineError
from returns_pipeline.host.embedded import Processes
from returns_pipeline.host.follow import follow
from returns_pipeline.records.tasks import Task
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import chunks

_MEGABYTE = 1e6
_LOOK_SECONDS = 0.002
_MOST_SECONDS = 30


def measure(job: Job) -> Measurement:
    """Kill the only process of a CPU worker and time its replacement, `job.rounds` times.

    A round's seconds are from the moment when the replacement was not there yet until its first chunk, one
    image, was done. They are an upper bound: opening the run, decoding, predicting and storing are in them.
    """
    settings = own_settings(job, worker_processes=1)
    database = Database(settings.database_url)
    database.upgrade()
    queue = open_queue(settings)
    image = str(job.files(1)[0])
    seconds, megabytes = [], []
    with Processes(settings) as processes:
        processes.start_redis()
        processes.start_workers()
        pid, _ = _classify(database, queue, image)
        for _ in range(job.rounds):
            began, expected = _replace(psutil.Process(pid))
            pid, finished = _classify(database, queue, image)
            if pid != expected:
                raise PipelineError(f"Process {pid} worked in the place of {expected}.")
            seconds.append(finished - began)
            megabytes.append(psutil.Process(pid).memory_info().rss / _MEGABYTE)
    database.close()
    return Measurement(
        seconds,
        rows=len(seconds),
        labels={},
        detail={
            "ready_seconds": round(statistics.median(seconds), 3),
            "rss_mb": round(max(megabytes), 1),
        },
    )


def _replace(process: psutil.Process) -> tuple[float, int]:
    """Kill an idle process; return when its replacement was not there yet, in Unix time, and its id.

    The system's own start time of a process is not used: it is counted from a boot time in whole seconds.
    """
    parent = process.parent()
    if parent is None:
        raise PipelineError("The worker has ended.")
    before = {child.pid for child in parent.children()}
    deadline = time.time() + _MOST_SECONDS
    not_yet = time.time()
    process.kill()
    while (looked := time.time()) < deadline:
        new = {child.pid for child in parent.children()} - before
        if new:
            return not_yet, new.pop()
        not_yet = looked
        time.sleep(_LOOK_SECONDS)
    raise PipelineError(f"No process took the place of {process.pid} within {_MOST_SECONDS} s.")


def _classify(database: Database, queue: CeleryQueue, image: str) -> tuple[int, float]:
    """Classify one image; return the id of the process that did it, and when it was done, in Unix time."""
    request = str(uuid.uuid4())
    queue.send(Task.CLASSIFY_PATHS, [image], request_id=request)
    run = follow(database, queue, request)
    if run.counts.classified != 1:
        raise PipelineError(f"Run {run.id} did not classify {image}.")
    with database.read() as connection:
        query = sa.select(chunks.c.worker, chunks.c.finished_at).where(chunks.c.run_id == run.id)
        worker, finished = connection.execute(query).one()
    return int(worker.rpartition(":")[2]), finished.timestamp()


if __name__ == "__main__":
    main(measure)
