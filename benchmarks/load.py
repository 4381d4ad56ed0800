"""`make load`: response times of single photos over HTTP, alone and during a nightly scan.

Requests start at fixed moments, whether or not earlier ones have a response. Such an open load shows the
waiting time of a server that stalls.
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
    """The largest response times of a part, in milliseconds; None: no goal."""

    name: str
    p50: float | None
    p99: float


ALONE = Goal("nothing else running", 50, 200)
DURING_SCAN = Goal("during a nightly scan", None, 2000)


def load(
    rate: Annotated[float, typer.Option(min=0.1, help="Requests a second.")] = 20,
    seconds: Annotated[float, typer.Option(min=1, help="How long each part lasts.")] = 20,
    bulk: Annotated[
        int, typer.Option(min=0, help="Images of the scan in the second part; 0: no second part.")
    ] = _BULK,
) -> None:
    """Send single images at a fixed rate; print the response times. Exit code 1 on a wrong response."""
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
        with _Site(settings) as ask:
            _send(ask, bodies, rate, 3)  # first requests are slower
            for goal in (ALONE, DURING_SCAN):
                if goal is DURING_SCAN:
                    if not bulk:
                        break
                    write_images(settings.incoming_dir, bulk)
                    requests.post(f"http://127.0.0.1:{_PORT}/api/v1/scans", timeout=30).raise_for_status()
                waits, failed = _send(ask, bodies, rate, seconds)
                wrong += failed
                table.add_row(goal.name, *_row(waits, goal))
    console.print(table)
    if wrong:
        console.print(f"{wrong} requests had no right response.", style="red")
    sys.exit(1 if wrong else 0)


def _send(
    ask: Callable[[object], bool], bodies: Sequence[object], rate: float, seconds: float
) -> tuple[list[float], int]:
    """Return the milliseconds from each request's due time to its response, and the number that failed."""
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


class _Site:
    """Runs workers and the web; entering the block returns a function that sends one image."""

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
        while not self._is_ready():
            self._processes.check()
            time.sleep(0.1)
        return self._ask

    def __exit__(self, *error: object) -> None:
        self._processes.__exit__(None, None, None)

    def _is_ready(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{_PORT}/healthz", timeout=5).ok
        except requests.ConnectionError:
            return False

    def _ask(self, body: object) -> bool:
        # Each thread keeps its connection open, as clients do.
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
        answer = session.post(f"http://127.0.0.1:{_PORT}/process_batch", json=body, timeout=60)
        return bool(answer.ok) and len(answer.json()["predictions"]) == 1


if __name__ == "__main__":
    typer.run(load)
