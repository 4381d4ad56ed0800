"""The names of queues and tasks, and the protocol of the message queue."""

from enum import StrEnum
from typing import Protocol

#: Scans, closings and sweeps. A worker of this queue needs no model.
CONTROL = "control"
#: Ad hoc runs, uploads, explanations and searches by a photo, for which a person or a program waits.
INTERACTIVE = "interactive"
#: Chunks of nights, scans and retries.
BULK = "bulk"
#: In the order in which a worker that serves all of them takes messages.
QUEUES = (CONTROL, INTERACTIVE, BULK)
#: Retrainings, which take from seconds to hours. Only a worker that was started for this queue serves it.
TRAIN = "train"

#: An argument of a message: an id, a name, a flag, a path, or the paths that a client names.
Argument = str | int | bool | None | list[str]


class Task(StrEnum):
    """Every task, by the name under which its messages are sent."""

    SCAN = "workers.tasks.scan_incoming"
    CLASSIFY_PATHS = "workers.tasks.classify_paths"
    CLASSIFY_CHUNK = "workers.tasks.classify_chunk"
    EXPLAIN = "workers.tasks.explain_image"
    CLOSE_RUN = "workers.tasks.close_run"
    COMPARE_NIGHT = "workers.tasks.compare_night"
    UPDATE_REPORT = "workers.tasks.update_report"
    MATCH_PHOTOS = "workers.tasks.match_photos"
    REPLAY = "workers.tasks.replay_run"
    RETRY = "workers.tasks.retry_images"
    DELIVER_NOTICES = "workers.tasks.deliver_notices"
    SWEEP = "workers.tasks.sweep"
    RETENTION = "workers.tasks.remove_old_photos"
    JUDGE_RETURNS = "workers.tasks.judge_returns"
    EMBED_PICTURES = "workers.tasks.embed_pictures"
    COMPARE_RETURNS = "workers.tasks.compare_returns"
    LOOK_AT_PHOTO = "workers.tasks.look_at_photo"
    FETCH_FEEDS = "workers.tasks.fetch_feeds"
    LEARN = "workers.tasks.learn_from_events"
    PLAN_RETRAINING = "workers.tasks.plan_retraining"
    RETRAIN = "workers.tasks.retrain_model"

    @property
    def short(self) -> str:
        """The name without its module, for people."""
        return self.rpartition(".")[2]


#: The default queue of each task. Chunks of ad hoc runs and of uploads go to INTERACTIVE instead.
TASK_QUEUES = {
    Task.SCAN: CONTROL,
    Task.CLOSE_RUN: CONTROL,
    Task.COMPARE_NIGHT: CONTROL,
    Task.UPDATE_REPORT: CONTROL,
    Task.MATCH_PHOTOS: CONTROL,
    Task.RETRY: CONTROL,
    Task.DELIVER_NOTICES: CONTROL,
    Task.SWEEP: CONTROL,
    Task.RETENTION: CONTROL,
    Task.FETCH_FEEDS: CONTROL,
    Task.LEARN: CONTROL,
    Task.PLAN_RETRAINING: CONTROL,
    Task.RETRAIN: TRAIN,
    Task.CLASSIFY_PATHS: INTERACTIVE,
    Task.REPLAY: INTERACTIVE,
    Task.EXPLAIN: INTERACTIVE,
    Task.LOOK_AT_PHOTO: INTERACTIVE,
    # Not CONTROL, whose workers may have no models: thresholds are in their bundles.
    Task.JUDGE_RETURNS: INTERACTIVE,
    Task.CLASSIFY_CHUNK: BULK,
    Task.EMBED_PICTURES: BULK,
    Task.COMPARE_RETURNS: BULK,
}

#: Seconds that a page waits for an explanation or for the vector of a photo. A worker drops an older message.
EXPLAINED_SECONDS = 4.0


class Queue(Protocol):
    """The message broker, as use cases see it. Messages carry ids, not data.

    `broker.celery_queue.CeleryQueue` and `broker.in_process.InProcessQueue` implement it. Every method raises
    TransientFault if the broker does not answer, and its kind BrokerRefusesFault if it takes no messages now.
    """

    def send(
        self,
        task: Task,
        *arguments: Argument,
        request_id: str | None = None,
        queue: str | None = None,
    ) -> None:
        """Send one message for a task, by default to the task's own queue.

        `request_id` is the id of the message, which `error_of` and `forget` take; by default a new one.
        """
        ...

    def require_writable(self) -> None:
        """Raise a fault if the broker takes no messages, although it may answer."""
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
        """Return the error that ended a request; None if it waits, runs or has succeeded."""
        ...

    def forget(self, request_id: str) -> None:
        """Delete the stored result of a request, so that it can be sent again."""
        ...
