"""Has the pictures of the catalogue embedded: by the workers, or in this process."""

import time
import uuid
from collections.abc import Callable

from returns_pipeline.classify.runtimes.registry import load_classifier
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.tasks import BULK, Argument, Queue, Task
from returns_pipeline.settings import Settings
from returns_pipeline.store import embedding_chunks
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import embedding
from returns_pipeline.usecases.context import Context

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


def embed_here(settings: Settings, db: Database, on_progress: OnProgress) -> None:
    """Embed every chunk in this process. A chunk that a worker holds is left to it."""
    waiting = embedding.plan(settings, db, every=True)
    sending = _Sent(waiting)
    context = Context(
        settings,
        db,
        sending,
        lambda bundle: load_classifier(bundle, settings.runtime),  # type: ignore[arg-type]
    )
    done = 0
    while waiting:
        chunk_id = waiting.pop(0)
        embedding.embed_chunk(context, chunk_id, str(uuid.uuid4()))
        done += 1
        on_progress(done, done + len(waiting))


class _Sent:
    """Takes the messages that a chunk sends: its halves, or itself again."""

    def __init__(self, waiting: list[int]) -> None:
        self._waiting = waiting

    def send(self, _task: Task, *arguments: Argument, **_: object) -> None:
        self._waiting.append(int(str(arguments[0])))
