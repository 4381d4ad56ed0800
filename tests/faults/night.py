"""One night with faults: a home, its processes, a sweep that comes often, and the audit afterwards."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from returns_pipeline.broker.celery_queue import CeleryQueue, open_queue
from returns_pipeline.errors import TransientFault
from returns_pipeline.host.embedded import Processes
from returns_pipeline.records.runs import RunState, RunSummary
from returns_pipeline.records.tasks import Task
from returns_pipeline.settings import PROJECT_ROOT, load_settings
from returns_pipeline.store import runs
from returns_pipeline.store.database import Database
from tests.support import Audit, Installation, audit, digests, write_stub_bundle

_SWEEP_SECONDS = 0.5


@dataclass
class Night:
    """What a fault is done to. `scale` is 1 for a whole round and less for a short one."""

    home: Installation
    processes: Processes
    random: random.Random
    scale: float
    came_in: Counter[str] = field(default_factory=Counter)
    worker_environment: dict[str, str] = field(default_factory=dict)
    guilty: set[str] = field(default_factory=set)

    def images(self, count: int, name: str = "image") -> list[Path]:
        """Put `count` different images into the intake, never white; return their paths."""
        folder = self.home.settings.incoming_dir
        folder.mkdir(parents=True, exist_ok=True)
        return [self.image(folder / f"{name}_{number}.png", number % 250) for number in range(count)]

    def image(self, path: Path, value: int) -> Path:
        """Put one image of one brightness into the intake; its bytes are its own."""
        Image.fromarray(np.full((8, 8), value, np.uint8)).save(path)
        with path.open("ab") as stream:
            stream.write(self.random.randbytes(8))
        self.came_in += Counter(digests_of(path))
        return path

    def start_worker(self, name: str = "worker", *arguments: str) -> subprocess.Popen[bytes]:
        """Start a worker of all queues whose model misbehaves as told."""
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "tests.faults.misbehaving",
            "worker",
            "-n",
            f"{name}@%h",
        ]
        command += ["--without-gossip", "--without-mingle", *arguments]
        return self.processes.start_command(name, command, PROJECT_ROOT, self.worker_environment)

    def start_redis(self) -> subprocess.Popen[bytes]:
        """Start Redis with nothing kept."""
        for path in (self.home.settings.home / "redis").rglob("*"):
            if path.is_file():
                path.unlink()
        self.processes.start_redis()
        return self.processes.process("redis")

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a whole worker, children included, as a machine that loses power does."""
        signal_all(psutil.Process(process.pid).children(recursive=True), signal.SIGKILL)
        process.kill()
        process.wait()

    def children(self, process: subprocess.Popen[bytes]) -> list[psutil.Process]:
        """Return the processes in which a worker's tasks run."""
        try:
            return psutil.Process(process.pid).children()
        except psutil.NoSuchProcess:
            return []

    def scan(self) -> str:
        """Ask for a scan; return its request id."""
        request_id = str(uuid.uuid4())
        self.queue().send(Task.SCAN, request_id=request_id)
        return request_id

    def queue(self) -> CeleryQueue:
        """Return a fresh connection to the broker."""
        return open_queue(self.home.settings)

    def run_of(self, request_id: str) -> RunSummary | None:
        """Return the run of a request, or None while there is none or the database is away."""
        try:
            run_id = runs.find_request(self.home.database, request_id)
            return None if run_id is None else runs.find(self.home.database, run_id)
        except TransientFault:
            return None

    def progressed(self, request_id: str, images: int) -> bool:
        """Whether at least `images` images of the run have a result."""
        run = self.run_of(request_id)
        return run is not None and run.counts.seen - run.counts.pending >= images

    def closed(self, request_id: str) -> bool:
        """Whether the run is closed."""
        run = self.run_of(request_id)
        return run is not None and run.state is RunState.CLOSED

    def finish(self, request_id: str, seconds: float = 400) -> None:
        """Wait until the run is closed, then scan once more for what a fault left in the intake."""
        until(lambda: self.closed(request_id) or self.mend(), seconds, self.open_work())
        if digests(self.home.settings.incoming_dir):
            again = self.scan()
            until(lambda: self.closed(again), seconds, "the second scan")

    def mend(self) -> bool:
        """Start again what has ended by itself, as `up` and a container's restart policy do; return False."""
        self.processes.restart_ended()
        return False

    def open_work(self) -> str:
        """Say where the logs of this night are."""
        return f"the run does not close; see {self.home.settings.home / 'logs'}"

    def audit(self) -> Audit:
        """Compare everything with what came in."""
        return audit(self.home, self.came_in, guilty=self.guilty)


@contextmanager
def night(
    folder: Path, database_url: str, seed: int, scale: float = 1.0, **overrides: Any
) -> Iterator[Night]:
    """Give a night with Redis and a sweep twice a second (a real beat's comes each minute); no worker yet."""
    write_stub_bundle(folder / "models")
    values: dict[str, Any] = {
        "home": folder / "home",
        "models_dir": folder / "models",
        "model": "stub",
        "runtime": "stub",
        "database_url": database_url,
        "settle_seconds": 0,
        "chunk_size": 50,
        "worker_processes": 2,
        "lease_seconds": 3,
        "resend_seconds": 1,
        "chunk_seconds": 5,
    }
    settings = load_settings(**values | overrides)
    settings.incoming_dir.mkdir(parents=True)
    database = Database(settings.database_url)
    database.upgrade()
    ended = threading.Event()
    with Processes(settings) as processes:
        processes.start_redis()
        home = Installation(settings, database)
        sweeper = threading.Thread(target=_sweep, args=(home, ended))
        sweeper.start()
        try:
            yield Night(home, processes, random.Random(seed), scale)  # noqa: S311 - repeatable, not secret
        finally:
            ended.set()
            sweeper.join()
            database.close()


def _sweep(home: Installation, ended: threading.Event) -> None:
    while not ended.wait(_SWEEP_SECONDS):
        try:
            queue = open_queue(home.settings)
            if queue.lengths()["control"] < 5:  # beat's own expire instead
                queue.send(Task.SWEEP)
        except TransientFault:
            continue


def until(condition: Callable[[], bool], seconds: float = 240, what: str = "it") -> None:
    """Wait for a condition; AssertionError when it does not hold in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def digests_of(path: Path) -> Counter[str]:
    """Return the digest of one file, counted once."""
    return Counter([hashlib.sha256(path.read_bytes()).hexdigest()])


def signal_all(processes: list[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to processes, those that have ended meanwhile passed over."""
    for process in processes:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            continue


def scanned(night: Night, request: str) -> bool:
    """Whether every file of the run has its row."""
    run = night.run_of(request)
    return run is not None and run.state != "scanning"


def log_of(night: Night) -> str:
    """Return what every process of the night has logged."""
    logs = night.home.settings.home / "logs"
    return "".join(path.read_text(encoding="utf-8", errors="replace") for path in logs.glob("*.log"))
