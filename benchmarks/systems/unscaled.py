"""The pipeline with a worker that decodes JPEGs at full size, without scaling in the decoder."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.measuring import Job, Measurement, started
from benchmarks.systems import pipeline
from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.errors import PipelineError
from returns_pipeline.host.embedded import CLASSIFY_WORKER, CONTROL_WORKER, Processes
from returns_pipeline.settings import Settings, environment_of

_APP = "benchmarks.systems.unscaled_worker"
_START_SECONDS = 60


def measure(job: Job) -> Measurement:
    """Measure the pipeline with another decoder. Job options as in `benchmarks.systems.pipeline`."""
    return pipeline.measure(job, _workers)


@contextmanager
def _workers(processes: Processes, settings: Settings) -> Iterator[None]:
    processes.start("worker-control", *CONTROL_WORKER)
    command = [sys.executable, "-m", "celery", "-A", _APP, *CLASSIFY_WORKER]
    with (
        (settings.home / "logs" / "worker-unscaled.log").open("wb") as log,
        started(command, log, environment_of(settings)) as worker,
    ):
        queue = open_queue(settings)
        deadline = time.monotonic() + _START_SECONDS
        while len(queue.workers(timeout=0.5)) < 2:
            processes.check()
            if worker.poll() is not None or time.monotonic() > deadline:
                raise PipelineError(f"The worker without scaling did not start; its log is {log.name}.")
        yield
