"""The only celery in the package: the app factory, the names of queues and tasks, and how to send."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import Celery, Task
from kombu import Queue as KombuQueue
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from returns_pipeline.errors import TransientFault
from returns_pipeline.records.jobs import Job, JobKind
from returns_pipeline.records.runs import RunKind
from returns_pipeline.settings import Settings

#: Scans, closings and sweeps; a worker of this queue needs no model.
CONTROL = "control"
#: Chunks of ad hoc runs, of images from HTTP, and the requests for them: somebody waits.
INTERACTIVE = "interactive"
#: Chunks of nightly runs.
BULK = "bulk"
#: In the order in which a worker of all of them serves them.
QUEUES = (CONTROL, INTERACTIVE, BULK)

SCAN = "workers.tasks.scan_incoming"
CLASSIFY_PATHS = "workers.tasks.classify_paths"
CLASSIFY_CHUNK = "workers.tasks.classify_chunk"
EXPLAIN = "workers.tasks.explain_image"
CLOSE_RUN = "workers.tasks.close_run"
REPLAY = "workers.tasks.replay_run"
RETRY = "workers.tasks.retry_images"
SWEEP = "workers.tasks.sweep"

TASK_QUEUES = {
    SCAN: CONTROL,
    CLOSE_RUN: CONTROL,
    RETRY: CONTROL,
    SWEEP: CONTROL,
    CLASSIFY_PATHS: INTERACTIVE,
    REPLAY: INTERACTIVE,
    EXPLAIN: INTERACTIVE,
    CLASSIFY_CHUNK: BULK,
}

_AWAITED = {RunKind.ADHOC, RunKind.API}

#: How long anybody waits for an explanation: a worker drops a message that is older.
EXPLAINED_SECONDS = 4.0
_VISIBILITY_SECONDS = 3600
_TASK_SECONDS = 3000
#: How long the broker may take to answer whoever sends a message and is in no hurry.
_SEND_SECONDS = 30


def make_app(settings: Settings, patience: float | None = None) -> Celery:
    """Return the Celery app for the settings' broker. Nothing connects.

    With `patience` the broker is given up after so many seconds without an answer, not only where messages
    are sent but also where results are kept: somebody waits. Without it results are waited for as long as
    Celery does by itself, as a worker should that has one to keep.
    """
    transport = {
        "visibility_timeout": _VISIBILITY_SECONDS,
        # Serve the queues in the order of QUEUES instead of in turn.
        "queue_order_strategy": "priority",
        "socket_timeout": patience or _SEND_SECONDS,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 30,
    }
    app = Celery("returns_pipeline", broker=settings.broker_url, backend=settings.broker_url)
    app.conf.update(
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        task_queues=[KombuQueue(name) for name in QUEUES],
        task_default_queue=CONTROL,
        task_routes={name: {"queue": queue} for name, queue in TASK_QUEUES.items()},
        task_create_missing_queues=False,
        # A message leaves the queue when its work is done; a worker that dies gives it back. A task that
        # kills its worker is tried again twice, not for ever.
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        task_retry_on_worker_lost=True,
        task_time_limit=_TASK_SECONDS,
        task_annotations={task: {"time_limit": settings.chunk_seconds} for task in (CLASSIFY_CHUNK, EXPLAIN)},
        visibility_timeout=_VISIBILITY_SECONDS,
        broker_transport_options=transport,
        result_backend_transport_options={"visibility_timeout": _VISIBILITY_SECONDS},
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=5,
        result_expires=86_400,
        worker_prefetch_multiplier=1,
        worker_concurrency=settings.worker_processes or None,
        worker_max_memory_per_child=settings.worker_memory_mb * 1024,
        worker_proc_alive_timeout=120,
        worker_soft_shutdown_timeout=60,
        worker_enable_soft_shutdown_on_idle=True,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        # Flower shows only what workers and senders tell.
        worker_send_task_events=True,
        task_send_sent_event=True,
        worker_hijack_root_logger=False,
        timezone=settings.timezone,
        enable_utc=True,
        beat_schedule_filename=str(settings.home / "beat-schedule"),
    )
    if patience is not None:
        # Celery subscribes to a result before it sends the message, and reconnects twenty times for that.
        results = {**app.conf.result_backend_transport_options, "retry_policy": {"max_retries": 0}}
        app.conf.update(redis_socket_timeout=patience, result_backend_transport_options=results)
    return app


class CeleryQueue:
    """Sends the pipeline's messages through one app."""

    def __init__(self, app: Celery) -> None:
        """Keep the app; it connects when the first message is sent."""
        self._app = app

    def send(
        self,
        task: str,
        *args: object,
        request_id: str | None = None,
        queue: str | None = None,
        expires: float | None = None,
        **kwargs: object,
    ) -> None:
        """Send one task. Raises TransientFault when the broker does not answer."""
        with _faults():
            self._app.send_task(
                task,
                args=args,
                kwargs=kwargs,
                task_id=request_id,
                queue=queue or TASK_QUEUES[task],
                expires=expires,
                # A caller should learn at once that nobody listens, not wait for minutes.
                retry_policy={"max_retries": 2, "interval_start": 0.2, "interval_max": 1},
                # Nobody waits for the others: how they went is in the database.
                ignore_result=task not in {SCAN, CLASSIFY_PATHS, REPLAY, RETRY},
            )

    def send_chunk(self, chunk_id: int, kind: RunKind) -> None:
        """Ask a worker to classify a chunk; those that somebody waits for come first."""
        self.send(CLASSIFY_CHUNK, chunk_id, queue=INTERACTIVE if kind in _AWAITED else BULK)

    def send_close(self, run_id: int) -> None:
        """Ask for a run to be closed."""
        self.send(CLOSE_RUN, run_id)

    def send_scan(self, request_id: str, directory: Path | None) -> None:
        """Ask for a scan that was cut short to go on."""
        self.send(SCAN, str(directory) if directory else None, request_id=request_id)

    def send_night(self) -> None:
        """Ask for the scan of the newest night that was due."""
        self.send(SCAN, scheduled=True)

    def send_job(self, job: Job) -> None:
        """Ask for what somebody wants over HTTP, under the job's own id."""
        if job.kind is JobKind.SCAN:
            self.send(SCAN, request_id=job.id)
        else:
            self.send(RETRY, job.run_id, request_id=job.id)

    def send_explain(self, image_id: int) -> None:
        """Ask what a model looked at in an image, for as long as somebody waits for it."""
        self.send(EXPLAIN, image_id, expires=EXPLAINED_SECONDS)

    def is_idle(self) -> bool:
        """Whether no chunk waits to be delivered."""
        return all(length == 0 for name, length in self.lengths().items() if name != CONTROL)

    def lengths(self) -> dict[str, int]:
        """Return how many messages wait in each queue. Raises TransientFault without a broker."""
        with _faults(), self._app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
            channel: Any = connection.default_channel
            return {name: int(channel.client.llen(name)) for name in QUEUES}

    def check(self) -> None:
        """Raise TransientFault when the broker does not answer."""
        self.lengths()

    def workers(self, timeout: float = 1.0) -> set[str]:
        """Return the names of the workers that answer within `timeout` seconds."""
        with _faults():
            return {name for reply in self._app.control.ping(timeout=timeout) or () for name in reply}

    def served(self, timeout: float = 1.0) -> dict[str, set[str]]:
        """Return the workers that answer within `timeout` seconds, by the queue that they serve."""
        with _faults():
            answers = self._app.control.inspect(timeout=timeout).active_queues() or {}
        found: dict[str, set[str]] = {}
        for worker, queues in answers.items():
            for queue in queues:
                found.setdefault(queue["name"], set()).add(worker)
        return found

    def error_of(self, request_id: str) -> BaseException | None:
        """Return what ended a request, or None while it waits, runs or has succeeded."""
        with _faults():
            result = self._app.AsyncResult(request_id)
            return result.result if result.state == "FAILURE" else None

    def forget(self, request_id: str) -> None:
        """Forget how a request ended, so that it can be sent again."""
        with _faults():
            self._app.AsyncResult(request_id).forget()


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except (OperationalError, RedisError, OSError) as error:
        raise _no_answer(error) from error
    except RuntimeError as error:
        # What Celery makes of it when it cannot subscribe to a result.
        if not isinstance(error.__cause__, (RedisError, OSError)):
            raise
        raise _no_answer(error.__cause__) from error


def _no_answer(error: BaseException) -> TransientFault:
    return TransientFault(
        f"The broker does not answer: {str(error).rstrip('.')}.",
        advice="Start it (`returns-pipeline up` starts an embedded one) or correct RETURNS_BROKER_URL.",
    )


class ClientPathsTask(Task[Any, Any]):
    """Makes paths absolute where they are given, not in the worker's folder."""

    abstract = True

    def apply_async(  # type: ignore[override]  # the options pass through whatever they are
        self, args: Any = None, kwargs: Any = None, **options: Any
    ) -> Any:
        """Send the task with absolute paths."""
        args, kwargs = list(args or ()), dict(kwargs or {})
        if args:
            args[0] = absolute(args[0])
        elif "paths" in kwargs:
            kwargs["paths"] = absolute(kwargs["paths"])
        return super().apply_async(args, kwargs, **options)


def absolute(paths: Sequence[str]) -> list[str]:
    """Return the paths as seen from this process's working directory.

    Raises TypeError for one path that is not in a list: its letters would be taken for paths.
    """
    if isinstance(paths, str):
        raise TypeError(f"classify_paths takes a list of paths: [{paths!r}]")
    return [str(Path(path).absolute()) for path in paths]
