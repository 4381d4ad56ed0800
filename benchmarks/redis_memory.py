"""Memory of Redis for the messages of waiting chunks."""

import time
from typing import Any

from kombu import Connection

from benchmarks.home import own_settings
from benchmarks.measuring import Job, Measurement
from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.host.embedded import Processes
from returns_pipeline.records.tasks import BULK, Task

_CHUNKS = 1000
_IMAGES_IN_A_CHUNK = 1000
#: Ids with as many digits as after some years of use.
_FIRST_ID = 1_000_000
#: Redis shrinks the buffers of its clients with a delay.
_SHRINK_SECONDS = 0.5


def measure(job: Job) -> Measurement:
    """Send the messages of a million images, in chunks of 1,000, to a Redis without consumers."""
    settings = own_settings(job)
    settings.home.mkdir(parents=True)
    queue = open_queue(settings)
    seconds, grown = [], []
    with Processes(settings) as processes, Connection(settings.broker_url) as connection:
        processes.start_redis()
        channel: Any = connection.default_channel
        redis = channel.client
        for _ in range(job.rounds):
            # The first message also creates connections, scripts and the key of the queue.
            queue.send(Task.CLASSIFY_CHUNK, _FIRST_ID)
            before = _used(redis)
            began = time.perf_counter()
            for number in range(1, _CHUNKS + 1):
                queue.send(Task.CLASSIFY_CHUNK, _FIRST_ID + number)
            seconds.append(time.perf_counter() - began)
            grown.append(_used(redis) - before)
            redis.delete(BULK)
    per_chunk = max(grown) / _CHUNKS
    return Measurement(
        seconds,
        rows=_CHUNKS,
        labels={},
        detail={
            "bytes_per_chunk": round(per_chunk, 1),
            "bytes_for_a_million_images": round(per_chunk * 1_000_000 / _IMAGES_IN_A_CHUNK),
        },
    )


def _used(redis: Any) -> int:
    """Return the bytes that Redis has allocated."""
    time.sleep(_SHRINK_SECONDS)
    return int(redis.info("memory")["used_memory"])
