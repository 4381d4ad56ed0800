"""How much memory Redis takes for the messages of chunks that wait."""

import time
from typing import Any

from kombu import Connection

from benchmarks.home import own_settings
from benchmarks.measuring import Job, Measurement, main
from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.host.embedded import Processes
from returns_pipeline.records.tasks import BULK, Task

_CHUNKS = 1000
_IMAGES_IN_A_CHUNK = 1000
#: Ids of as many digits as they have after some years.
_FIRST_ID = 1_000_000
#: The server notices a client's large buffers, and gives them back, a little later.
_REST_SECONDS = 0.5


def measure(job: Job) -> Measurement:
    """Send the messages of a million images in chunks of 1,000 to a Redis that nobody reads from."""
    settings = own_settings(job)
    settings.home.mkdir(parents=True)
    queue = open_queue(settings)
    seconds, held = [], []
    with Processes(settings) as processes, Connection(settings.broker_url) as connection:
        processes.start_redis()
        channel: Any = connection.default_channel
        redis = channel.client
        for _ in range(job.rounds):
            # The first message brings what is not a message: connections, scripts, the queue's own entry.
            queue.send(Task.CLASSIFY_CHUNK, _FIRST_ID)
            before = _used(redis)
            began = time.perf_counter()
            for number in range(1, _CHUNKS + 1):
                queue.send(Task.CLASSIFY_CHUNK, _FIRST_ID + number)
            seconds.append(time.perf_counter() - began)
            held.append(_used(redis) - before)
            redis.delete(BULK)
    per_chunk = max(held) / _CHUNKS
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
    """Return the bytes that the server has allocated."""
    time.sleep(_REST_SECONDS)
    return int(redis.info("memory")["used_memory"])


if __name__ == "__main__":
    main(measure)
