"""The names of queues and tasks, and what the use cases need of the message broker."""

from enum import StrEnum
from typing import Protocol

#: Scans, closings and sweeps; a worker of this queue needs no model.
CONTROL = "control"
#: Chunks of ad hoc runs and of images from HTTP, and the requests for them: a person or a program waits.
INTERACTIVE = "interactive"
#: Chunks of nightly runs.
BULK = "bulk"
#: In the order in which a worker of all of them serves them.
QUEUES = (CONTROL, INTERACTIVE, BULK)

#: What a message may carry: ids, names, flags, and paths where a client names files.
Argument = str | int | bool | None | list[str]


class Task(StrEnum):
    """Every task, by the name under which its messages are sent."""

    SCAN = "workers.tasks.scan_incoming"
    CLASSIFY_PATHS = "workers.tasks.classify_paths"
    CLASSIFY_CHUNK = "workers.tasks.classify_chunk"
    EXPLAIN = "workers.tasks.explain_image"
    CLOSE_RUN = "workers.tasks.close_run"
    REPLAY = "workers.tasks.replay_run"
    RETRY = "workers.tasks.retry_images"
    SWEEP = "workers.tasks.sweep"


#: The queue of each task; a chunk that is waited for goes to INTERACTIVE instead.
TASK_QUEUES = {
    Task.SCAN: CONTROL,
    Task.CLOSE_RUN: CONTROL,
    Task.RETRY: CONTROL,
    Task.SWEEP: CONTROL,
    Task.CLASSIFY_PATHS: INTERACTIVE,
    Task.REPLAY: INTERACTIVE,
    Task.EXPLAIN: INTERACTIVE,
    Task.CLASSIFY_CHUNK: BULK,
}

#: Seconds that a page waits for an explanation; a worker drops a message that is older.
EXPLAINED_SECONDS = 4.0


class Queue(Protocol):
    """What the use cases need of the message broker. Messages carry ids, not data.

    Every method raises TransientFault when the broker does not answer.
    """

    def send(
        self,
        task: Task,
        *arguments: Argument,
        request_id: str | None = None,
        queue: str | None = None,
    ) -> None:
        """Send one message for a task, by default to the task's own queue.

        `request_id` identifies the message: it is the id under which `error_of` finds how the task ended.
        """
        ...

    def lengths(self) -> dict[str, int]:
        """Return how many messages wait in each of QUEUES."""
        ...

    def workers(self, timeout: float = 1.0) -> set[str]:
        """Return the names of the workers that reply within `timeout` seconds."""
        ...

    def served(self, timeout: float = 1.0) -> dict[str, set[str]]:
        """Return the workers that reply within `timeout` seconds, by the queue that they serve."""
        ...

    def error_of(self, request_id: str) -> BaseException | None:
        """Return the error that ended a request, or None while it waits, runs or has succeeded."""
        ...

    def forget(self, request_id: str) -> None:
        """Forget how a request ended, so that it can be sent again."""
        ...
