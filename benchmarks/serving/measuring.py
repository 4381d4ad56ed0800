"""What `make load` measures of one installation."""

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import requests

from benchmarks.data.fashion import write_images
from benchmarks.serving.clients import Waits, steady, wrk
from benchmarks.serving.processors import measured
from returns_pipeline.errors import PipelineError
from returns_pipeline.settings import Settings
from returns_pipeline.store import runs
from returns_pipeline.store.database import Database

MANY = 64
#: Images of one request.
BATCH = 1000
#: Requests with so many images are timed; the fastest half counts.
_BATCHES = 8
_RATE = 20.0
#: Images in a folder of the intake.
_FOLDER = 10_000
_WARM_SECONDS = 3.0


class Plan(NamedTuple):
    """How long each part lasts, and the images of the night; 0 for no night."""

    seconds: float
    steady_seconds: float
    night: int


class Night(NamedTuple):
    """Seconds of a night alone, of one beside requests, and the waits of those."""

    alone: float
    beside: float
    waits: Waits


class Figures(NamedTuple):
    """What clients of one installation saw."""

    one: Waits
    many: Waits
    batch_rate: float
    steady: Waits | None = None
    night: Night | None = None


def measure(settings: Settings, photos: Path, plan: Plan, say: Callable[[str], None]) -> Figures:
    """Measure a running installation. Raises PipelineError on a wrong response."""
    port = settings.web_port
    wrk(port, photos, 8, _WARM_SECONDS)
    one, cost = measured(lambda: wrk(port, photos, 1, plan.seconds), lambda waits: waits.sent)
    say(f"1 client: p50 {one.p50:.1f} ms; {cost}")
    many, cost = measured(lambda: wrk(port, photos, MANY, plan.seconds), lambda waits: waits.sent)
    say(f"{MANY} clients: {many.predicted:.0f}/s, {many.refused} refused, {many.broken} broken; {cost}")
    batch_rate, cost = measured(lambda: _batch_rate(port, photos), lambda _: _BATCHES)
    say(f"{BATCH} images in a request: {batch_rate:.0f} images/s; {cost}")
    waits = night = None
    if plan.steady_seconds:
        waits = steady(port, photos, _RATE, plan.steady_seconds)
        say(f"{_RATE:g} requests/s: p50 {waits.p50:.1f}, p99 {waits.p99:.1f}, longest {waits.longest:.0f} ms")
    if plan.night:
        night = _night(settings, photos, plan)
        say(f"night: {night.alone:.1f} s alone, {night.beside:.1f} s beside requests")
    return Figures(one, many, batch_rate, waits, night)


def _batch_rate(port: int, photos: Path) -> float:
    files = [path.read_bytes() for path in sorted(photos.iterdir())]
    body = {"images": [base64.b64encode(files[at % len(files)]).decode() for at in range(BATCH)]}
    seconds = []
    with requests.Session() as session:
        for _ in range(_BATCHES):
            began = time.perf_counter()
            answer = session.post(f"http://127.0.0.1:{port}/process_batch", json=body, timeout=120)
            seconds.append(time.perf_counter() - began)
            if not answer.ok or len(answer.json()["predictions"]) != BATCH:
                raise PipelineError("A request was refused: {text}", text=answer.text[:200])
    return BATCH / sorted(seconds)[_BATCHES // 2 - 1]


def _night(settings: Settings, photos: Path, plan: Plan) -> Night:
    alone = _seconds(settings, _scan(settings, plan.night))
    job = _scan(settings, plan.night)
    # Not longer than the night: requests after its end would be quick.
    waits = steady(settings.web_port, photos, _RATE, max(5.0, 0.8 * alone))
    return Night(alone, _seconds(settings, job), waits)


def _scan(settings: Settings, count: int) -> str:
    """Put images into the intake and request a scan; return its job."""
    for part in range(0, count, _FOLDER):
        write_images(settings.incoming_dir / f"{time.time_ns()}-{part}", min(_FOLDER, count - part))
    answer = requests.post(f"http://127.0.0.1:{settings.web_port}/api/v1/scans", timeout=30)
    answer.raise_for_status()
    return str(answer.json()["id"])


def _seconds(settings: Settings, job: str) -> float:
    """Wait until a scan's run is closed; return how long it was open."""
    address = f"http://127.0.0.1:{settings.web_port}/api/v1/jobs/{job}"
    while (found := requests.get(address, timeout=60).json())["state"] != "done":
        time.sleep(0.1)
    database = Database(settings.database_url)
    run = runs.existing(database, int(found["run"]))
    database.close()
    if run.closed_at is None:
        raise PipelineError("Run {run} is not closed.", run=run.id)
    return (run.closed_at - run.opened_at).total_seconds()
