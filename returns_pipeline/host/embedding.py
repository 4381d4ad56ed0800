"""Has the pictures of the catalogue embedded: by the workers, or in this process."""

import time
import uuid
from collections.abc import Callable

from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.errors import ConfigFault
from returns_pipeline.host.context import command_context
from returns_pipeline.records.tasks import BULK, Queue, Task
from returns_pipeline.settings import Settings
from returns_pipeline.store import embedding_chunks
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import embedding

_POLL_SECONDS = 0.2

#: Called with the chunks that are done and with all of them.
OnProgress = Callable[[int, int], None]


def embed_by_workers(
    settings: Settings, db: Database, queue: Queue, on_progress: OnProgress, *, wait: bool
) -> None:
    """Send every chunk, and `wait` until none is open.

    Raises ConfigFault if no worker takes them, TransientFault if the broker does not answer.
    """
    if not queue.served().get(BULK):
        raise ConfigFault(
            "No worker embeds pictures now.",
            "Start `returns-pipeline up`, or use `--here` to embed them in this process.",
        )
    chunk_ids = embedding.plan(settings, db, every=True)
    for chunk_id in chunk_ids:
        queue.send(Task.EMBED_PICTURES, chunk_id)
    _, space = embedding.configured_space(settings, db)
    while wait and (left := embedding_chunks.count(db, space.id)):
        on_progress(max(0, len(chunk_ids) - left), len(chunk_ids))
        time.sleep(_POLL_SECONDS)


def begin(settings: Settings, db: Database, queue: Queue) -> int:
    """Have workers embed the new pictures of an import; return how many chunks they are.

    Without a broker, the sweep sends them later.
    """
    return embedding.begin(command_context(settings, db, queue))


def embed_here(settings: Settings, db: Database, on_progress: OnProgress) -> None:
    """Embed every chunk in this process. A chunk that a worker holds is left to it."""
    queue = InProcessQueue()
    context = command_context(settings, db, queue)
    for chunk_id in embedding.plan(settings, db, every=True):
        queue.send(Task.EMBED_PICTURES, chunk_id)
    done = 0
    while queue.messages:
        embedding.embed_chunk(context, queue.take(Task.EMBED_PICTURES), str(uuid.uuid4()))
        done += 1
        on_progress(done, done + len(queue.messages))
