"""One night with faults: a home, its processes, a frequent sweep, and the audit afterwards."""

import io
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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import sqlalchemy as sa
from PIL import Image

from returns_pipeline.broker.celery_queue import CeleryQueue, open_queue
from returns_pipeline.classify.bundle import MANIFEST
from returns_pipeline.errors import TransientFault
from returns_pipeline.host.embedded import Processes
from returns_pipeline.records.places import folder_of, is_object
from returns_pipeline.records.runs import RunState, RunSummary
from returns_pipeline.records.tasks import Task
from returns_pipeline.settings import PROJECT_ROOT, Settings, load_settings
from returns_pipeline.store import runs, tables
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.manifests import import_file
from tests import places
from tests.brokers import Group, sentinels
from tests.faults.returns_audit import ANNOUNCED, EXPECTED, FILE_PATTERN, audit_returns
from tests.objects import new_bucket, use
from tests.s3_proxy import Faults, proxy
from tests.support import Audit, Installation, audit, digests, write_stub_bundle

_SWEEP_SECONDS = 0.5


@dataclass
class Night:
    """The installation that a fault is inflicted on. `scale` is 1 for a full round and less for a short one.

    `came_in` counts the files that came in, by digest. Only images named in `guilty` may be blamed for a
    killed worker; files named in `staying` cannot be moved. `worker_prefix` starts a worker. `more_controls`
    workers for scans and reports run beside the first one. `store` is what an object store does to the
    workers, if the photos are in one.
    """

    home: Installation
    processes: Processes
    random: random.Random
    scale: float
    store: Faults | None = None
    came_in: Counter[str] = field(default_factory=Counter)
    worker_environment: dict[str, str] = field(default_factory=dict)
    guilty: set[str] = field(default_factory=set)
    sentinels: Group | None = None
    staying: set[str] = field(default_factory=set)
    worker_prefix: list[str] = field(default_factory=list)
    more_controls: int = 0

    def images(self, count: int, name: str = "image") -> list[Path]:
        """Put `count` different images, none of them white, into the intake; return their paths."""
        folder = self.home.settings.incoming_dir
        return [self.image(folder / f"{name}_{number}.png", number % 250) for number in range(count)]

    def image(self, path: Path, value: int) -> Path:
        """Put one image of a uniform brightness and with unique bytes into the intake."""
        content = io.BytesIO()
        Image.fromarray(np.full((8, 8), value, np.uint8)).save(content, "PNG")
        content.write(self.random.randbytes(8))
        places.write(path, content.getvalue())
        self.came_in[places.digest(content.getvalue())] += 1
        return path

    def many(self, count: int) -> int:
        """Return `count`, or less in a short round with a store, where each image costs some requests."""
        return count if self.store is None else max(50, int(count * self.scale))

    def start_worker(self, name: str = "worker", *arguments: str) -> subprocess.Popen[bytes]:
        """Start a worker for all queues whose model misbehaves as `worker_environment` sets."""
        others, self.more_controls = self.more_controls, 0
        for number in range(others):
            self.start_worker(f"another-control-{number}", "-Q", "control", "-c", "1")
        command = ["-A", "tests.faults.misbehaving", "worker", "-n", f"{name}@%h"]
        command += ["--without-gossip", "--without-mingle", *arguments]
        return self._start_celery(name, *command)

    def start_beat(self, name: str, entries: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a beat that sends `entries` of the schedule, separated by commas, twice a second."""
        self.worker_environment |= {"FAULT_BEAT": entries}
        return self._start_celery(name, "-A", "tests.faults.hurried_beat", "beat", *arguments)

    def _start_celery(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [*self.worker_prefix, sys.executable, "-m", "celery", *arguments]
        return self.processes.start_command(name, command, PROJECT_ROOT, self.worker_environment)

    def start_redis(self) -> subprocess.Popen[bytes]:
        """Start Redis without its earlier data."""
        for path in (self.home.settings.home / "redis").rglob("*"):
            if path.is_file():
                path.unlink()
        self.processes.start_redis()
        return self.processes.process("redis")

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a worker with its children, as a power failure does."""
        signal_all(psutil.Process(process.pid).children(recursive=True), signal.SIGKILL)
        process.kill()
        process.wait()

    def children(self, process: subprocess.Popen[bytes]) -> list[psutil.Process]:
        """Return the child processes that run a worker's tasks."""
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
        """Return the run of a request, or None if there is none yet or the database is down."""
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
        """Wait until the run is closed, then scan once more for files that a fault left in the intake."""
        until(lambda: self.closed(request_id) or self.restart_ended(), seconds, self.hint)
        if digests(self.home.settings.incoming_dir):
            again = self.scan()
            until(lambda: self.closed(again), seconds, "the second scan")

    def restart_ended(self) -> bool:
        """Restart processes that have ended, as `up` and a container's restart policy do; return False."""
        self.processes.restart_ended()
        return False

    def hint(self) -> str:
        """Return the message of a run that does not close: its open chunks, the last lines of all logs."""
        with self.home.database.read() as connection:
            chunks = sa.select(tables.chunks).where(tables.chunks.c.state != "done")
            waiting = [str(dict(row)) for row in connection.execute(chunks).mappings()]
        return "\n".join(["the run does not close; open chunks:", *waiting, self._last_lines()])

    def ended(self, worker: subprocess.Popen[bytes]) -> str:
        """Return the message of a worker that ended: its exit code, and the last lines of all logs.

        Many lines, because another worker may have written into the same log since.
        """
        return f"the worker ended with code {worker.returncode}\n{self._last_lines(300)}"

    def _last_lines(self, lines: int = 12) -> str:
        logs = sorted((self.home.settings.home / "logs").glob("*.log"))
        return "\n".join(
            f"{path.name}: " + "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:])
            for path in logs
        )

    def audit(self) -> Audit:
        """Compare files, tables, reports, returns and verdicts with the files that came in."""
        found = audit(self.home, self.came_in, guilty=self.guilty, staying=self.staying)
        return replace(found, wrong=found.wrong + audit_returns(self.home.database, self.home.settings))


@contextmanager
def night(
    folder: Path,
    database_url: str,
    seed: int,
    scale: float = 1.0,
    has_sentinels: bool = False,
    s3: str | None = None,
    has_twins: bool = False,
    **overrides: Any,
) -> Iterator[Night]:
    """Yield a night with Redis and two sweeps a second (beat sends one a minute), without a worker.

    A thread sends the sweeps, or with `has_twins` two real beats, and two workers for scans and reports run.
    CONTROLS and BEATS of the environment say how many, for every fault.

    The Redis is the embedded one, or with `has_sentinels` a master with a replica and three Sentinels. The
    photos are in a folder, or in a bucket of the server `s3`, which the workers reach through a proxy.
    """
    if s3 is not None:
        with (
            _bucket(s3, folder / "made") as (faults, environment, inside),
            night(folder, database_url, seed, scale, has_twins=has_twins, **(inside | overrides)) as tonight,
        ):
            tonight.store = faults
            tonight.worker_environment |= environment
            yield tonight
        return
    if has_sentinels:
        with (
            sentinels(folder / "sentinels") as group,
            night(
                folder, database_url, seed, scale, has_twins=has_twins, broker_url=group.url, **overrides
            ) as tonight,
        ):
            tonight.sentinels = group
            yield tonight
        return
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
        "file_pattern": FILE_PATTERN,
    }
    settings = load_settings(**values | overrides)
    settings.home.mkdir(parents=True, exist_ok=True)
    if not is_object(str(settings.incoming_dir)):
        settings.incoming_dir.mkdir(parents=True)
    database = Database(settings.database_url)
    database.require_current()
    _announce(settings, database)
    ended = threading.Event()
    with Processes(settings) as processes:
        if "broker_url" not in overrides:
            processes.start_redis()
        home = Installation(settings, database)
        tonight = Night(home, processes, random.Random(seed), scale)  # noqa: S311 - repeatable, not secret
        tonight.more_controls = int(os.environ.get("CONTROLS") or 1 + has_twins) - 1
        sweeper = threading.Thread(target=_sweep, args=(home, ended))
        if beats := int(os.environ.get("BEATS") or 2 * has_twins):
            for number in range(beats):
                tonight.start_beat(f"beat-{number}", "sweep", "-s", str(settings.home / f"beat-{number}"))
        else:
            sweeper.start()
        try:
            yield tonight
        finally:
            ended.set()
            if not beats:
                sweeper.join()
            database.close()


@contextmanager
def _bucket(server: str, made: Path) -> Iterator[tuple[Faults, dict[str, str], dict[str, Any]]]:
    """Give what the store does to workers, their environment, and the places of a new bucket as settings.

    The bucket has the stub model, which is made in the folder `made`.
    """
    faults = Faults()
    with pytest.MonkeyPatch.context() as patch, proxy(server, faults) as address:
        use(server, patch)
        bucket = new_bucket(server)
        names = {"incoming_dir": "in", "report_dir": "reports"}
        names |= {f"{name}_dir": name for name in ("archive", "quarantine", "models")}
        inside: dict[str, Any] = {setting: f"{bucket}/{prefix}" for setting, prefix in names.items()}
        # A chunk takes longer in a store, and still longer on a busy machine.
        inside["chunk_seconds"] = 30
        bundle = write_stub_bundle(made)
        manifest = bundle.folder / MANIFEST
        places.write(folder_of(f"{bucket}/models/{bundle.ref}/{MANIFEST}"), manifest.read_bytes())
        yield faults, {"AWS_ENDPOINT_URL": address}, inside


def _announce(settings: Settings, database: Database) -> None:
    """Import a manifest of the returns of the first photos, all with one expected label."""
    manifest = settings.home / "returns.csv"
    lines = ["number;expected", *(f"{number};{EXPECTED}" for number in ANNOUNCED)]
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert import_file(settings, database, manifest, "ann", {}).counts.added == len(ANNOUNCED)


def _sweep(home: Installation, ended: threading.Event) -> None:
    while not ended.wait(_SWEEP_SECONDS):
        try:
            queue = open_queue(home.settings)
            if queue.lengths()["control"] < 5:  # instead of the expiry of beat's sweeps
                queue.send(Task.SWEEP)
        except TransientFault:
            continue


def until(
    condition: Callable[[], bool], seconds: float = 240, what: str | Callable[[], str] = "the condition"
) -> None:
    """Wait until a condition holds. Raises AssertionError after `seconds`, with `what` or what it returns."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {seconds} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.05)


def digests_of(path: Path) -> Counter[str]:
    """Return the digest of one file, with the count 1."""
    content = places.read(path)
    assert content is not None, path
    return Counter([places.digest(content)])


def signal_all(processes: list[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to processes; skip those that have ended."""
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
    """Return the logs of all processes of the night."""
    logs = night.home.settings.home / "logs"
    return "".join(path.read_text(encoding="utf-8", errors="replace") for path in logs.glob("*.log"))
