"""A complete installation for tests: real workers, real Redis, and the web in its own process."""

import base64
import contextlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

from returns_pipeline.host.embedded import Processes
from returns_pipeline.records.access import Role
from returns_pipeline.records.places import is_object
from returns_pipeline.settings import settings_of_home
from returns_pipeline.store import access
from returns_pipeline.store.database import Database
from returns_pipeline.web.security.access import digest, new_token
from tests.support import Installation, write_images, write_stub_bundle


@dataclass(frozen=True)
class Site:
    """A running installation: its address, and the token of its machine."""

    home: Installation
    processes: Processes
    url: str
    token: str

    def ask(self, method: str, path: str, token: str | None = None, **options: Any) -> requests.Response:
        """Send a request, by default as an operator."""
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        headers |= options.pop("headers", {})
        return requests.request(method, self.url + path, headers=headers, timeout=180, **options)

    def page(self, path: str, method: str = "GET", **options: Any) -> requests.Response:
        """Send a request as a browser does: for an HTML page."""
        return self.ask(method, path, headers={"Accept": "text/html"}, **options)

    def kill(self, *names: str) -> None:
        """Kill processes of the site as a power failure does; each can be started again."""
        for name in names:
            process = self.processes.release(name)
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()

    def is_ready(self) -> bool:
        """Whether the site reports that every part answers."""
        return bool(self.ask("GET", "/readyz", token="").ok)

    def token_for(self, role: Role) -> str:
        """Return a new token of a role."""
        token = new_token()
        access.add_token(self.home.database, token[:12], digest(token), role)
        return token


@contextlib.contextmanager
def site(folder: Path, *, with_workers: bool = True, **overrides: Any) -> Iterator[Site]:
    """Run Redis, workers and the web of a home in `folder`, with the stub model; or the web alone."""
    models = folder / "models"
    write_stub_bundle(models)
    chosen: dict[str, Any] = {
        "models_dir": models,
        "model": "stub",
        "runtime": "stub",
        "settle_seconds": 0,
        "web_port": free_port(),
    }
    settings = settings_of_home(folder / "home", **(chosen | overrides))
    if not is_object(str(settings.incoming_dir)):
        settings.incoming_dir.mkdir(parents=True)
    database = Database(settings.database_url)
    database.upgrade()
    with Processes(settings) as processes:
        if with_workers:
            processes.start_redis()
            processes.start_workers()
        processes.start("web", "web")
        url = f"http://127.0.0.1:{settings.web_port}"
        wait_for(url, processes)
        token = (settings.home / "web-token").read_text(encoding="ascii")
        yield Site(Installation(settings, database), processes, url, token)
    database.close()


def wait_for(url: str, processes: Processes) -> None:
    """Wait until the web answers. Raises the fault of a process that has ended."""
    deadline = time.monotonic() + 180
    while True:
        processes.check()
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(f"{url}/healthz", timeout=5).ok:
                return
        assert time.monotonic() < deadline, "the web does not answer"
        time.sleep(0.05)


def free_port() -> int:
    """Return a free port."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def batch_of(here: Site, count: int, start: int) -> tuple[list[str], list[int]]:
    """Return images as base64, and the indices of their right labels."""
    paths = write_images(here.home.settings.home / "sent", count, start)
    texts = [base64.b64encode(path.read_bytes()).decode() for path in paths]
    return texts, [int(path.stem.rpartition("_")[2]) for path in paths]


def closed_run(here: Site, count: int, start: int = 0) -> int:
    """Let the workers scan `count` new images of the intake; return the run's id."""
    write_images(here.home.settings.incoming_dir, count, start)
    job = here.ask("POST", "/api/v1/scans", headers={"Idempotency-Key": os.urandom(8).hex()}).json()
    deadline = time.monotonic() + 180
    while job["state"] != "done":
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
        job = here.ask("GET", f"/api/v1/jobs/{job['id']}").json()
    return int(job["run"])
