"""Seconds until a new worker process classifies, and its memory then."""

import statistics
import time
import uuid

import psutil
import sqlalchemy as sa

from benchmarks.home import own_settings
from benchmarks.measuring import Job, Measurement
from returns_pipeline.broker.celery_queue import CeleryQueue, open_queue
from returns_pipeline.errors import PipelineError
from returns_pipeline.host.embedded import Processes
from returns_pipeline.host.follow import follow
from returns_pipeline.host.requests import Request
from returns_pipeline.records.tasks import Task
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import chunks

_MEGABYTE = 1e6
_POLL_SECONDS = 0.002
_MAX_SECONDS = 30


def measure(job: Job) -> Measurement:
    """Kill the only child process of a CPU worker and time its replacement, `job.rounds` times.

    A round begins at the last moment without the replacement and ends when its first chunk, of one image,
    is done. This is an upper bound: it includes opening the run, decoding, predicting and storing.
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
                raise PipelineError(f"Process {pid} classified the image instead of {expected}.")
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
    """Kill an idle process; return the last moment without its replacement, in Unix time, and the new id.

    The kernel's start time of a process is not used: it counts from a boot time in whole seconds.
    """
    parent = process.parent()
    if parent is None:
        raise PipelineError("The worker has ended.")
    before = {child.pid for child in parent.children()}
    deadline = time.time() + _MAX_SECONDS
    last_without = time.time()
    process.kill()
    while (now := time.time()) < deadline:
        new = {child.pid for child in parent.children()} - before
        if new:
            return last_without, new.pop()
        last_without = now
        time.sleep(_POLL_SECONDS)
    raise PipelineError(f"No process replaced {process.pid} within {_MAX_SECONDS} s.")


def _classify(database: Database, queue: CeleryQueue, image: str) -> tuple[int, float]:
    """Classify one image; return the id of the process that did it, and the Unix time when it was done."""
    request = str(uuid.uuid4())
    queue.send(Task.CLASSIFY_PATHS, [image], request_id=request)
    run = follow(database, queue, Request(request, request))
    if run.counts.classified != 1:
        raise PipelineError(f"Run {run.id} did not classify {image}.")
    with database.read() as connection:
        query = sa.select(chunks.c.worker, chunks.c.finished_at).where(chunks.c.run_id == run.id)
        worker, finished = connection.execute(query).one()
    return int(worker.rpartition(":")[2]), finished.timestamp()
