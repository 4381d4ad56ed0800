"""A queue inside one process: it keeps messages and delivers them on demand.

For tests, and for trying a use case by hand. A test can also deliver a message twice, or lose all messages.
"""

import itertools
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple

from returns_pipeline.records.tasks import QUEUES, TASK_QUEUES, Argument, Task
from returns_pipeline.usecases import (
    chunks,
    closing,
    drift,
    embedding,
    explanations,
    feeds,
    judging,
    learning,
    notices,
    old_runs,
    photo_looks,
    product_comparison,
    retention,
    retraining,
    reuse,
    runs,
)
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.sweep import sweep


class Message(NamedTuple):
    """One message as it was sent."""

    task: Task
    arguments: tuple[Argument, ...]
    request_id: str | None
    queue: str


class InProcessQueue:
    """Holds messages in the order in which they were sent."""

    def __init__(self) -> None:
        """Start without messages."""
        self.messages: deque[Message] = deque()
        self._numbers = itertools.count()

    def send(
        self, task: Task, *arguments: Argument, request_id: str | None = None, queue: str | None = None
    ) -> None:
        """Keep one message."""
        self.messages.append(Message(task, arguments, request_id, queue or TASK_QUEUES[task]))

    def lengths(self) -> dict[str, int]:
        """Return how many messages wait in each queue."""
        counts = Counter(message.queue for message in self.messages)
        return {name: counts[name] for name in QUEUES}

    def require_writable(self) -> None:
        """Do nothing: messages are always taken."""

    def workers(self, timeout: float = 1.0) -> set[str]:  # noqa: ARG002 - no waiting here
        """Return this process, the only worker."""
        return {"in-process"}

    def served(self, timeout: float = 1.0) -> dict[str, set[str]]:
        """Return this process for every queue."""
        return {name: self.workers(timeout) for name in QUEUES}

    def error_of(self, request_id: str) -> BaseException | None:  # noqa: ARG002 - errors are raised here
        """Return None: a request that fails raises from `deliver`."""
        return None

    def forget(self, request_id: str) -> None:
        """Do nothing: no error is kept."""

    def waiting(self, task: Task) -> list[Any]:
        """Return the first argument of each waiting message of a task, oldest first."""
        return [next(iter(message.arguments), None) for message in self.messages if message.task is task]

    def take(self, task: Task) -> Any:
        """Remove the oldest message of a task and return its first argument."""
        message = next(message for message in self.messages if message.task is task)
        self.messages.remove(message)
        return next(iter(message.arguments), None)

    def lose_everything(self) -> None:
        """Delete every message, like a broker that is flushed."""
        self.messages.clear()

    def deliver(self, context: Context) -> None:
        """Run the use case of every message, including messages that are sent meanwhile."""
        while self.messages:
            self.deliver_one(context)

    def deliver_one(self, context: Context) -> None:
        """Run the use case of the oldest message."""
        message = self.messages.popleft()
        request_id = message.request_id or f"message {next(self._numbers)}"
        USE_CASES[message.task](context, request_id, *message.arguments)


def _remove_old(context: Context) -> None:
    retention.remove_some(context)
    old_runs.remove_some(context)


#: The use case of each task, called with the context, the message's id and its arguments.
USE_CASES: dict[Task, Callable[..., object]] = {
    Task.SCAN: runs.scan_on_request,
    Task.CLASSIFY_PATHS: runs.classify_paths,
    Task.REPLAY: runs.replay,
    Task.RETRY: runs.retry,
    Task.CLASSIFY_CHUNK: lambda context, request_id, chunk_id: chunks.classify_chunk(
        context, chunk_id, request_id
    ),
    Task.EMBED_PICTURES: lambda context, request_id, chunk_id: embedding.embed_chunk(
        context, chunk_id, request_id
    ),
    Task.CLOSE_RUN: lambda context, _, run_id: closing.close_run(context, run_id),
    Task.COMPARE_NIGHT: lambda context, _, run_id: drift.compare_night(context, run_id),
    Task.UPDATE_REPORT: lambda context, _, run_id: closing.update_report(context, run_id),
    Task.MATCH_PHOTOS: lambda context, _, chunk_id=None: reuse.match_photos(context, chunk_id),
    Task.EXPLAIN: lambda context, _, image_id: explanations.explain(context, image_id),
    Task.LOOK_AT_PHOTO: lambda context, _, look_id: photo_looks.look(context, look_id),
    Task.DELIVER_NOTICES: lambda context, _: notices.deliver(context),
    Task.FETCH_FEEDS: lambda context, _: feeds.fetch_some(context),
    Task.LEARN: lambda context, _: learning.learn_nightly(context),
    Task.PLAN_RETRAINING: lambda context, _: retraining.plan(context),
    Task.RETRAIN: lambda context, _, retraining_id: retraining.retrain(context, retraining_id),
    Task.RETENTION: lambda context, _: _remove_old(context),
    Task.COMPARE_RETURNS: lambda context, _: product_comparison.compare_returns(context),
    Task.JUDGE_RETURNS: lambda context, _: judging.judge_queued(context),
    Task.SWEEP: lambda context, _: sweep(context),
}
