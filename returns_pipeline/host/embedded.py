"""The embedded installation: Redis and the workers of one home as child processes."""

import os
import sys
from pathlib import Path

from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.host import embedded_redis
from returns_pipeline.host.child_processes import ChildProcesses
from returns_pipeline.records.tasks import BULK, CONTROL, INTERACTIVE, TRAIN
from returns_pipeline.settings import Settings, environment_of

_REDIS = "redis"


def _worker(name: str, queues: str, *arguments: str) -> tuple[str, ...]:
    return ("worker", "-Q", queues, "-n", f"{name}@%h", "--without-gossip", "--without-mingle", *arguments)


#: Arguments of the two workers of every embedded installation.
CONTROL_WORKER = _worker("control", CONTROL, "-c", "1")
CLASSIFY_WORKER = _worker("cpu", f"{INTERACTIVE},{BULK}")

#: Arguments of the worker for requests alone. At night each process of the other has a chunk, and a request
#: would wait until one of them is done.
INTERACTIVE_WORKER = _worker("interactive", INTERACTIVE)

#: Arguments of the worker that trains, which runs only if it is asked for.
TRAIN_WORKER = _worker("train", TRAIN, "-c", "1")


class Processes(ChildProcesses):
    """The processes of one home, all with the same settings. Their logs are HOME/logs/NAME.log.

    Redis stops last, so that workers can return the messages that they hold.
    """

    def __init__(self, settings: Settings) -> None:
        """Start nothing yet."""
        super().__init__(
            settings.home / "logs",
            {**os.environ, **environment_of(settings)},
            stopped_last=frozenset({_REDIS}),
        )
        self._settings = settings

    def start(self, name: str, *arguments: str) -> None:
        """Start `returns-pipeline ARGUMENTS` as the process `name`."""
        self.start_command(name, [sys.executable, "-m", "returns_pipeline.cli", *arguments], Path.cwd())

    def start_redis(self) -> None:
        """Start the embedded Redis and wait until it accepts commands.

        Raises ConfigFault if RETURNS_BROKER_URL names another broker or a Redis runs for this home already.
        """
        self.start_command(_REDIS, *embedded_redis.prepare(self._settings))
        self.wait_until(lambda: embedded_redis.is_ready(self._settings), _REDIS)

    def start_workers(self, classify_app: str = "workers.app") -> None:
        """Start a worker for scans and one for images; wait until both accept tasks.

        `classify_app` is the module of the Celery app of the worker for images.
        """
        workers = {
            "worker-control": ("workers.app", CONTROL_WORKER),
            "worker-cpu": (classify_app, CLASSIFY_WORKER),
        }
        for name, (app, arguments) in workers.items():
            # Not `returns-pipeline worker`: it becomes the same command after 0.4 s of imports.
            self.start_command(name, [sys.executable, "-m", "celery", "-A", app, *arguments], Path.cwd())
        queue = open_queue(self._settings)

        def both_accept_tasks() -> bool:
            self.check()
            return len(queue.workers(timeout=0.5)) >= 2

        self.wait_until(both_accept_tasks, "worker-cpu")

    def start_interactive(self) -> None:
        """Start the worker for requests alone, which may start after the others."""
        processes = ("-c", str(self._settings.interactive_processes))
        command = [sys.executable, "-m", "celery", "-A", "workers.app", *INTERACTIVE_WORKER, *processes]
        self.start_command("worker-interactive", command, Path.cwd())

    def start_trainer(self) -> None:
        """Start the worker that trains, which may start after the others."""
        command = [sys.executable, "-m", "celery", "-A", "workers.app", *TRAIN_WORKER]
        self.start_command("worker-train", command, Path.cwd())
