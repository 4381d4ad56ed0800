"""The queue on Celery: sends messages, and reads queues, workers and results."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from returns_pipeline import tracing
from returns_pipeline.broker.app import make_app
from returns_pipeline.broker.faults import fault_of
from returns_pipeline.broker.probe import probe
from returns_pipeline.errors import BrokerRefusesFault, TransientFault
from returns_pipeline.records.tasks import EXPLAINED_SECONDS, QUEUES, TASK_QUEUES, Argument, Task
from returns_pipeline.settings import Settings

#: Tasks whose result a client may read.
_WITH_RESULT = {Task.SCAN, Task.CLASSIFY_PATHS, Task.REPLAY, Task.RETRY}
#: Seconds after which a worker drops a message.
_EXPIRES = {Task.EXPLAIN: EXPLAINED_SECONDS, Task.LOOK_AT_PHOTO: EXPLAINED_SECONDS}


def open_queue(settings: Settings, patience: float | None = None) -> "CeleryQueue":
    """Return the queue on the settings' broker; see `make_app` for `patience`. Nothing connects."""
    return CeleryQueue(make_app(settings, patience))


class CeleryQueue:
    """Implements `records.tasks.Queue` with a Celery app.

    Every method raises TransientFault if the broker does not answer, and its kind BrokerRefusesFault if it
    answers that it takes no messages now.
    """

    def __init__(self, app: Celery) -> None:
        """Keep the app. It connects when the first message is sent."""
        self._app = app

    def send(
        self, task: Task, *arguments: Argument, request_id: str | None = None, queue: str | None = None
    ) -> None:
        """Send one message, by default to the task's own queue."""
        queue = queue or TASK_QUEUES[task]
        with self._faults(), tracing.span(f"send {task.short}", sends=True, queue=queue):
            self._app.send_task(
                task.value,
                args=arguments,
                task_id=request_id,
                queue=queue,
                expires=_EXPIRES.get(task),
                # So that a sender learns within seconds, not minutes, that the broker is away.
                retry_policy={"max_retries": 2, "interval_start": 0.2, "interval_max": 1},
                # Workers declare their queues. kombu, if the broker refuses a declaration of a sender once,
                # declares again on another channel and then sends on the closed one: an AttributeError.
                declare=(),
                # The outcome of every other task is in the database.
                ignore_result=task not in _WITH_RESULT,
                headers=tracing.headers(),
            )

    def require_answer(self) -> None:
        """Raise TransientFault if the broker does not answer. One that refuses messages is accepted."""
        with suppress(BrokerRefusesFault):
            self.lengths()

    def require_writable(self) -> None:
        """Send, receive and acknowledge one message of a queue that no worker serves."""
        with self._faults(), self._app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
            probe(connection)

    def lengths(self) -> dict[str, int]:
        """Return how many messages wait in each queue."""
        with self._faults(), self._app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
            channel: Any = connection.default_channel
            return {name: int(channel.client.llen(name)) for name in QUEUES}

    def workers(self, timeout: float = 1.0) -> set[str]:
        """Return the names of the workers that reply within `timeout` seconds."""
        with self._faults():
            return {name for reply in self._app.control.ping(timeout=timeout) or () for name in reply}

    def served(self, timeout: float = 1.0) -> dict[str, set[str]]:
        """Return the workers that reply within `timeout` seconds, by the queue that they serve."""
        with self._faults():
            replies = self._app.control.inspect(timeout=timeout).active_queues() or {}
        found: dict[str, set[str]] = {}
        for worker, queues in replies.items():
            for queue in queues:
                found.setdefault(queue["name"], set()).add(worker)
        return found

    def error_of(self, request_id: str) -> BaseException | None:
        """Return the error that ended a request; None if it waits, runs or has succeeded."""
        with self._faults():
            result = self._app.AsyncResult(request_id)
            return result.result if result.state == "FAILURE" else None

    def forget(self, request_id: str) -> None:
        """Delete the stored result of a request, so that it can be sent again."""
        with self._faults():
            self._app.AsyncResult(request_id).forget()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, RedisError, OSError) as error:
            raise self._fault_of(error) from error
        except RuntimeError as error:
            # Celery raises RuntimeError if it cannot subscribe to a result.
            if not isinstance(error.__cause__, (RedisError, OSError)):
                raise
            raise self._fault_of(error.__cause__) from error

    def _fault_of(self, error: BaseException) -> TransientFault:
        fault = fault_of(error)
        if isinstance(fault, BrokerRefusesFault):
            # After a failover, an open connection may still lead to the old master, which is read-only now.
            # Celery renews the connections for messages, but not those for results.
            backend: Any = self._app.backend
            backend.client.connection_pool.disconnect(inuse_connections=False)
        return fault
