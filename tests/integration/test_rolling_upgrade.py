"""An upgrade in the middle of a night: two versions of the program, and a migration between them."""

import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.host import embedded_redis
from returns_pipeline.host.child_processes import ChildProcesses
from returns_pipeline.records.runs import RunState
from returns_pipeline.records.tasks import Task
from returns_pipeline.settings import PREFIX, load_settings
from returns_pipeline.store import runs
from returns_pipeline.store.database import Database
from tests.older_program import PRESENT, Program, older_program
from tests.support import Installation, assert_promise_kept, digests, write_images, write_stub_bundle
from tests.web import free_port

_SECONDS = 180
_PHOTOS, _BAD, _ASKED, _CHUNK = 200, 3, 5, 10
_CLI = ("returns_pipeline.cli",)
_QUIET = ("--without-gossip", "--without-mingle")


@dataclass(frozen=True)
class Upgrade:
    """An installation with processes of two versions, `old` and `new`, by which their names begin.

    Workers for images wait at the gate of their version before each chunk.
    """

    home: Installation
    processes: ChildProcesses
    programs: dict[str, Program]

    def start(self, name: str, *command: str) -> None:
        """Start `python -m COMMAND` as the process `name`."""
        version = name.partition("-")[0]
        program = self.programs[version]
        environment = {**program.environment, "GATE": str(self.gate(version))}
        words = [sys.executable, "-m", *command]
        self.processes.start_command(name, words, program.folder, environment)

    def start_control(self, name: str) -> None:
        """Start a worker for scans, reports and the sweep."""
        self.start(name, "celery", "-A", "workers.app", "worker", "-Q", "control", "-c", "1", *_QUIET)

    def start_cpu(self, name: str) -> None:
        """Start a worker for images, with one process."""
        app = self.programs[name.partition("-")[0]].gated
        self.start(name, "celery", "-A", app, "worker", "-Q", "interactive,bulk", "-c", "1", *_QUIET)

    def migrate(self, version: str) -> None:
        """Run `db upgrade` of a version."""
        name = f"{version}-migration"
        self.start(name, *_CLI, "db", "upgrade")
        assert self.processes.release(name).wait(_SECONDS) == 0, self.log(name)

    def gate(self, version: str) -> Path:
        """Return the folder of a version's gate."""
        folder = self.home.settings.home / f"gate-{version}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def let_pass(self, version: str, chunks: int) -> None:
        """Let a version's worker finish some more chunks, and wait for it."""
        done = self.done(version) + chunks
        for _ in range(chunks):
            (self.gate(version) / uuid.uuid4().hex).touch()
        self.until(lambda: self.done(version) >= done, f"{chunks} chunks are done")

    def done(self, version: str) -> int:
        """Return how many chunks a version's worker has finished."""
        return self.log(f"{version}-cpu").count("chunk_done")

    def log(self, name: str) -> str:
        """Return what a process has printed."""
        return self.processes.log(name).read_text(encoding="utf-8")

    def is_closed(self, request: str) -> bool:
        """Whether the run of a request is closed."""
        run = runs.find_request(self.home.database, request)
        return run is not None and runs.progress(self.home.database, run).state is RunState.CLOSED

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until a condition holds. Raises the fault of a process that ends meanwhile."""
        deadline = time.monotonic() + _SECONDS
        while not condition():
            self.processes.check()
            assert time.monotonic() < deadline, f"{what}: not within {_SECONDS} s"
            time.sleep(0.02)

    def shows(self, path: str) -> bool:
        """Whether the web shows a page."""
        settings = self.home.settings
        try:
            token = (settings.home / "web-token").read_text(encoding="ascii")
            headers = {"Authorization": f"Bearer {token}", "Accept": "text/html"}
            return requests.get(f"http://127.0.0.1:{settings.web_port}{path}", headers=headers, timeout=60).ok
        except (requests.ConnectionError, FileNotFoundError):
            return False

    def stop(self, name: str, code: int = 0) -> None:
        """End a process with SIGTERM, and expect its exit code. A worker finishes the chunk that it holds."""
        process = self.processes.release(name)
        process.terminate()
        (self.gate(name.partition("-")[0]) / "last").touch()
        assert process.wait(_SECONDS) == code, self.log(name)[-3000:]


@contextmanager
def upgrade(folder: Path, url: str) -> Iterator[Upgrade]:
    """Give an installation on an empty database, with Redis and no other process."""
    write_stub_bundle(folder / "models")
    chosen: dict[str, Any] = {
        "home": folder / "home",
        "models_dir": folder / "models",
        "model": "stub",
        "runtime": "stub",
        "database_url": url,
        "settle_seconds": 0,
        "chunk_size": _CHUNK,
        # No chunk that waits at a gate is given to another process.
        "lease_seconds": 900,
        "chunk_seconds": 900,
        "web_port": free_port(),
    }
    settings = load_settings(**chosen)
    settings.incoming_dir.mkdir(parents=True)
    # The chosen ones only: an older program refuses settings that it does not know.
    environment = os.environ | {PREFIX + name.upper(): str(value) for name, value in chosen.items()}
    programs = {"old": older_program(folder), "new": PRESENT}
    database = Database(url)
    with ChildProcesses(settings.home / "logs", environment, stopped_last=frozenset({"redis"})) as processes:
        processes.start_command("redis", *embedded_redis.prepare(settings))
        processes.wait_until(lambda: embedded_redis.is_ready(settings), "redis")
        yield Upgrade(Installation(settings, database), processes, programs)
    database.close()


@pytest.mark.slow
def test_a_night_goes_on_while_its_program_is_replaced(database_url: str, tmp_path: Path) -> None:
    """Old and new processes share a night across a migration, each ends in order, and nothing is lost."""
    with upgrade(tmp_path, database_url) as here:
        home, queue = here.home, open_queue(here.home.settings)
        incoming = home.settings.incoming_dir
        write_images(incoming, _PHOTOS)
        for number in range(_BAD):
            (incoming / f"bad_{number}.png").write_text(f"not an image: {number}")
        came_in = digests(incoming)
        asked = write_images(tmp_path / "asked", _ASKED)

        here.migrate("old")
        before = home.database.revision()[0]
        here.start("old-web", *_CLI, "web")
        here.start_control("old-control")
        here.start_cpu("old-cpu")
        night, request = str(uuid.uuid4()), str(uuid.uuid4())
        queue.send(Task.SCAN, request_id=night)
        here.let_pass("old", 3)

        # Its next chunk is claimed before the migration, and done after it.
        here.migrate("new")
        assert before != home.database.revision()[0]
        here.start_control("new-control")
        here.stop("old-control")
        queue.send(Task.CLASSIFY_PATHS, [str(path) for path in asked], request_id=request)
        queue.send(Task.SWEEP)
        # The chunk at the gate, one behind it, and that of the request, which comes before the others.
        here.let_pass("old", 3)
        here.until(lambda: here.is_closed(request), "the request is done")
        here.until(lambda: here.shows("/runs/1"), "the old web shows the night")
        here.start_cpu("new-cpu")
        here.let_pass("new", 3)

        here.stop("old-cpu")
        here.start("new-beat", *_CLI, "beat")
        here.stop("old-web", -signal.SIGTERM)
        here.start("new-web", *_CLI, "web")
        (here.gate("new") / "open").touch()
        here.until(lambda: here.is_closed(night), "the night ends")
        here.until(lambda: here.shows("/runs/1"), "the new web shows the night")

        adhoc, nightly = runs.latest(home.database, 9)
        assert (nightly.counts.classified, nightly.counts.quarantined) == (_PHOTOS, _BAD)
        assert (adhoc.counts.classified, adhoc.counts.seen) == (_ASKED, _ASKED)
        assert_promise_kept(home, nightly.id, came_in)
        assert here.done("old") + here.done("new") == -(-(_PHOTOS + _BAD) // _CHUNK) + 1
        logs = {path.name: path.read_text(encoding="utf-8") for path in home.settings.home.glob("logs/*.log")}
        assert not {name: text for name, text in logs.items() if "[error" in text or "Traceback" in text}
