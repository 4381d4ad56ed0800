"""The clients of `make load`: wrk for as many requests as possible, and requests at fixed moments."""

import json
import os
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import requests

from returns_pipeline.errors import ConfigFault, PipelineError

_SCRIPT = Path(__file__).with_name("photos.lua")
#: Requests that may wait at the same time in an open load.
_THREADS = 64


class Waits(NamedTuple):
    """What clients saw: responses a second, milliseconds until a response, and what was no prediction.

    Of the requests `sent`, `refused` counts responses with an error status, `broken` those that never came.
    """

    sent: int
    rate: float
    p50: float
    p99: float
    longest: float
    refused: int
    broken: int

    @property
    def predicted(self) -> float:
        """Predictions a second."""
        return self.rate * (1 - (self.refused + self.broken) / max(1, self.sent))


def wrk(port: int, photos: Path, clients: int, seconds: float) -> Waits:
    """Send photos with so many clients at once, each its next one when it has the response to the last.

    Raises ConfigFault if wrk is not installed, PipelineError if no response came in time.
    """
    program = shutil.which("wrk")
    if program is None:
        raise ConfigFault("wrk is missing.", "Install it: apt-get install wrk")
    options = ["-t", "1", "-c", str(clients), "-d", f"{seconds:.0f}s", "--timeout", "60s"]
    found = subprocess.run(
        [program, *options, "-s", str(_SCRIPT), f"http://127.0.0.1:{port}/predict"],
        env={**os.environ, "PHOTOS": str(photos)},
        capture_output=True,
        text=True,
        check=True,
    )
    line = json.loads(found.stdout.strip().splitlines()[-1])
    if not line["requests"]:
        raise PipelineError("No response came within {seconds:g} s.", "Try more seconds.", seconds=seconds)
    return Waits(
        line["requests"],
        line["requests"] / line["microseconds"] * 1e6,
        line["p50"] / 1000,
        line["p99"] / 1000,
        line["longest"] / 1000,
        line["refused"],
        line["broken"],
    )


def steady(port: int, photos: Path, rate: float, seconds: float) -> Waits:
    """Send photos at fixed moments, whether or not earlier ones have a response.

    Such an open load shows the waiting time of a server that stalls: a wait counts from the moment when its
    request is due.
    """
    waits: list[float] = []
    refused = broken = 0
    lock = threading.Lock()
    ask = _client(port)
    contents = [(path.name, path.read_bytes()) for path in sorted(photos.iterdir())]

    def one(due: float, photo: tuple[str, bytes]) -> None:
        nonlocal refused, broken
        try:
            is_right = ask(photo)
        except requests.RequestException:
            is_right = None
        with lock:
            waits.append((time.perf_counter() - due) * 1000)
            refused += is_right is False
            broken += is_right is None

    began = time.perf_counter()
    with ThreadPoolExecutor(_THREADS) as pool:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            pool.submit(one, due, contents[number % len(contents)])
    return _waits(waits, time.perf_counter() - began, refused, broken)


def _waits(waits: Sequence[float], seconds: float, refused: int, broken: int) -> Waits:
    cuts = statistics.quantiles(waits, n=100)
    return Waits(len(waits), len(waits) / seconds, cuts[49], cuts[98], max(waits), refused, broken)


def _client(port: int) -> Callable[[tuple[str, bytes]], bool]:
    local = threading.local()

    def ask(photo: tuple[str, bytes]) -> bool:
        # Each thread keeps its connection open, as clients do.
        if not hasattr(local, "session"):
            local.session = requests.Session()
        answer = local.session.post(f"http://127.0.0.1:{port}/predict", files={"file": photo}, timeout=60)
        return bool(answer.ok)

    return ask
