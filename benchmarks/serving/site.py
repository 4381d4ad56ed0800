"""A running installation for clients: embedded Redis, workers and the web."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import requests

from benchmarks.workloads import shipped
from returns_pipeline.classify.bundle import OPENVINO_MODEL
from returns_pipeline.errors import TransientFault
from returns_pipeline.host.embedded import Processes
from returns_pipeline.settings import Settings, settings_of_home
from returns_pipeline.store.database import Database
from tests.web import free_port

_START_SECONDS = 60


@contextlib.contextmanager
def site(home: Path, database_url: str | None = None) -> Iterator[Settings]:
    """Run an installation with the shipped small model in `home` until the block ends."""
    bundle = shipped()
    overrides = {"database_url": database_url} if database_url else {}
    settings = settings_of_home(
        home,
        models_dir=bundle.folder.parent.parent,
        model=str(bundle.ref),
        settle_seconds=0,
        web_port=free_port(),
        api_auth="off",
        **overrides,
    )
    database = Database(settings.database_url)
    database.upgrade()
    database.close()
    with Processes(settings) as processes:
        processes.start_redis()
        processes.start_workers()
        processes.start_interactive()
        # The sweep of each minute is part of the load.
        processes.start("beat", "beat")
        processes.start("web", "web")
        wait_for(settings.web_port, "/healthz")
        yield settings


@contextlib.contextmanager
def peer(port: int, command: list[str]) -> Iterator[None]:
    """Run another server until the block ends."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, "/")
        yield
    finally:
        process.terminate()
        process.wait()


def plain_command(port: int) -> list[str]:
    """Return the command of the plain FastAPI process."""
    return [sys.executable, "-m", "benchmarks.serving.plain", str(shipped().folder), str(port)]


def bento_command(python: Path, port: int) -> list[str]:
    """Return the command that serves the same model with BentoML, in the environment of another Python."""
    bundle = shipped()
    model, side = f"MODEL={bundle.file(OPENVINO_MODEL)}", f"SIDE={bundle.input.width}"
    serve = ["-m", "bentoml", "serve", "bento_service:Photos", "--port", str(port)]
    folder = ["--working-dir", str(Path(__file__).parent)]
    return ["env", "-u", "PYTHONPATH", model, side, str(python), *serve, *folder]


def wait_for(port: int, path: str) -> None:
    """Wait until a server answers. Raises TransientFault if it does not."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(requests.RequestException):
            requests.get(f"http://127.0.0.1:{port}{path}", timeout=5)
            return
        time.sleep(0.1)
    raise TransientFault("The server on port {port} does not answer.", port=port)
