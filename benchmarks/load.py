"""`make load`: how long a photo sent over HTTP waits for its answer, alone and beside a night.

Requests begin at fixed moments, whether or not the ones before are answered: who waits is counted, not who
is served (an open load, which does not hide a server that stalls).
"""

import base64
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, NamedTuple

import requests
import typer
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.data.fashion import write_images
from benchmarks.workloads import shipped
from returns_pipeline.host.embedded import Processes
from returns_pipeline.settings import Settings, settings_of_home
from returns_pipeline.store.database import Database

_IMAGES, _BULK = 200, 30_000
_PORT = 8731


class Goal(NamedTuple):
    """What is measured, in milliseconds, and what was promised."""

    name: str
    p50: float | None
    p99: float


ALONE = Goal("nothing else running", 50, 200)
BESIDE = Goal("beside a night", None, 2000)


def load(
    rate: Annotated[float, typer.Option(min=0.1, help="Requests a second.")] = 20,
    seconds: Annotated[float, typer.Option(min=1, help="How long each part lasts.")] = 20,
    bulk: Annotated[int, typer.Option(min=0, help="Images of the night beside it.")] = _BULK,
) -> None:
    """Send single images at a fixed rate and print how long they waited. Exits with 1 on a wrong answer."""
    console = Console(highlight=False, width=110)
    console.print(machine.as_line(machine.describe()))
    table = Table("requests", "count", "p50 ms", "p95 ms", "p99 ms", "goal", "", title=f"{rate:g} a second")
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="returns-load-") as folder:
        images = Path(folder) / "images"
        write_images(images, _IMAGES)
        bodies = [
            {"images": [base64.b64encode(path.read_bytes()).decode()]} for path in sorted(images.iterdir())
        ]
        bundle = shipped()
        settings = settings_of_home(
            Path(folder) / "home",
            model=str(bundle.ref),
            settle_seconds=0,
            web_port=_PORT,
            api_auth="off",
        )
        with _site(settings) as ask:
            _send(ask, bodies, rate, 3)  # what is slow the first time only
            for goal in (ALONE, BESIDE):
                if goal is BESIDE:
                    if not bulk:
                        break
                    write_images(settings.incoming_dir, bulk)
                    requests.post(f"http://127.0.0.1:{_PORT}/api/v1/scans", timeout=30).raise_for_status()
                waits, failed = _send(ask, bodies, rate, seconds)
                wrong += failed
                table.add_row(goal.name, *_row(waits, goal))
    console.print(table)
    if wrong:
        console.print(f"{wrong} requests were not answered.", style="red")
    sys.exit(1 if wrong else 0)


def _send(
    ask: Callable[[object], bool], bodies: Sequence[object], rate: float, seconds: float
) -> tuple[list[float], int]:
    """Return the milliseconds that each request waited since it was due, and how many were not answered."""
    waits: list[float] = []
    failed = 0
    lock = threading.Lock()

    def one(due: float, body: object) -> None:
        nonlocal failed
        is_right = ask(body)
        with lock:
            waits.append((time.perf_counter() - due) * 1000)
            failed += not is_right

    began = time.perf_counter()
    with ThreadPoolExecutor(64) as pool:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            pool.submit(one, due, bodies[number % len(bodies)])
    return sorted(waits), failed


def _row(waits: list[float], goal: Goal) -> tuple[str, ...]:
    cuts = statistics.quantiles(waits, n=100)
    p50, p95, p99 = cuts[49], cuts[94], cuts[98]
    is_reached = (goal.p50 is None or p50 < goal.p50) and p99 < goal.p99
    wanted = (f"p50 < {goal.p50:.0f}, " if goal.p50 else "") + f"p99 < {goal.p99:.0f}"
    times = (f"{each:.0f}" for each in (p50, p95, p99))
    return (str(len(waits)), *times, wanted, "reached" if is_reached else "missed")


class _site:  # noqa: N801 - used like a function, as contextlib's own
    """Run workers and the web; give the function that asks about one image."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._processes = Processes(settings)
        self._local = threading.local()

    def __enter__(self) -> Callable[[object], bool]:
        database = Database(self._settings.database_url)
        database.upgrade()
        database.close()
        self._processes.__enter__()
        self._processes.start_redis()
        self._processes.start_workers()
        self._processes.start("web", "web")
        while not self._answers():
            self._processes.check()
            time.sleep(0.1)
        return self._ask

    def __exit__(self, *error: object) -> None:
        self._processes.__exit__(None, None, None)

    def _answers(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{_PORT}/healthz", timeout=5).ok
        except requests.ConnectionError:
            return False

    def _ask(self, body: object) -> bool:
        # A connection for each thread, kept open as clients do.
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
        answer = session.post(f"http://127.0.0.1:{_PORT}/process_batch", json=body, timeout=60)
        return bool(answer.ok) and len(answer.json()["predictions"]) == 1


if __name__ == "__main__":
    typer.run(load)
