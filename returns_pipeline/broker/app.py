"""The Celery app: queues, limits, retries. Nothing connects here."""

from celery import Celery
from kombu import Queue as KombuQueue

from returns_pipeline.records.tasks import CONTROL, QUEUES, TASK_QUEUES, TRAIN, Task
from returns_pipeline.settings import Settings
from returns_pipeline.settings.broker_url import parse_broker_url

_VISIBILITY_SECONDS = 3600
_TASK_SECONDS = 3000
#: A channel of notices that hangs ends with its process.
_NOTICES_SECONDS = 180
#: A retraining that takes longer is ended; it goes on from its last finished epoch.
_RETRAIN_SECONDS = 24 * 3600
#: Socket timeout in seconds for senders without `patience`.
_SEND_SECONDS = 30


def make_app(settings: Settings, patience: float | None = None) -> Celery:
    """Return the Celery app for the settings' broker. Nothing connects.

    `patience` is how many seconds to wait for the broker, for messages and for results, while a client waits.
    Without it, Celery's own long timeout for results applies, which suits a worker that stores one.
    """
    broker = parse_broker_url(settings.broker_url)
    transport = {
        "visibility_timeout": _VISIBILITY_SECONDS,
        # Serve the queues in the order of QUEUES instead of in turn.
        "queue_order_strategy": "priority",
        "socket_timeout": patience or _SEND_SECONDS,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 30,
        **broker.options,
    }
    app = Celery("returns_pipeline", broker=broker.url, backend=broker.url)
    app.conf.update(
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        task_queues=[KombuQueue(name) for name in (*QUEUES, TRAIN)],
        task_default_queue=CONTROL,
        task_routes={task.value: {"queue": queue} for task, queue in TASK_QUEUES.items()},
        task_create_missing_queues=False,
        # A message is acknowledged when its task ends, and delivered again if the worker dies. A task that
        # kills its worker is tried again twice, not forever.
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        task_retry_on_worker_lost=True,
        task_time_limit=_TASK_SECONDS,
        task_annotations={
            task.value: {"time_limit": settings.chunk_seconds}
            for task in (Task.CLASSIFY_CHUNK, Task.EMBED_PICTURES, Task.EXPLAIN, Task.LOOK_AT_PHOTO)
        }
        | {
            Task.DELIVER_NOTICES.value: {"time_limit": _NOTICES_SECONDS},
            Task.RETRAIN.value: {"time_limit": _RETRAIN_SECONDS},
        },
        visibility_timeout=_VISIBILITY_SECONDS,
        broker_transport_options=transport,
        broker_use_ssl=broker.tls,
        redis_backend_use_ssl=broker.tls,
        result_backend_transport_options={"visibility_timeout": _VISIBILITY_SECONDS, **broker.options},
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=5,
        # For ever: after 100 attempts, which take 50 minutes, Celery would end the worker.
        broker_connection_max_retries=None,
        # A Redis that is full or read-only replies with an error, which would end the worker.
        broker_channel_error_retry=True,
        worker_consumer="returns_pipeline.broker.consumer:PatientConsumer",
        result_expires=86_400,
        worker_prefetch_multiplier=1,
        worker_concurrency=settings.worker_processes or None,
        worker_max_memory_per_child=settings.worker_memory_mb * 1024,
        worker_proc_alive_timeout=120,
        worker_soft_shutdown_timeout=60,
        worker_enable_soft_shutdown_on_idle=True,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        # Flower needs these events.
        worker_send_task_events=True,
        worker_hijack_root_logger=False,
        timezone=settings.timezone,
        enable_utc=True,
        beat_scheduler="returns_pipeline.broker.scheduler:BriefScheduler",
        beat_schedule_filename=str(settings.home / "beat-schedule"),
    )
    if patience is not None:
        # Celery subscribes to a result before it sends the message. By default it retries that 20 times.
        results = {**app.conf.result_backend_transport_options, "retry_policy": {"max_retries": 0}}
        app.conf.update(redis_socket_timeout=patience, result_backend_transport_options=results)
    return app
