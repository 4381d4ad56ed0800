"""`python -m benchmarks.plan_check`: the forecast of `returns-pipeline plan`, beside real nights.

The forecast is measured first, by `plan --measure`. Then 1, 2 and 4 workers, each of which may use a part of
a core, classify a night of photos. What counts is the time from the start of the scan until the last chunk is
done: the worker for scans and reports has a process of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer

from benchmarks import machine
from benchmarks.data.photos import copy_photos, draw_photos
from benchmarks.limited import limited
from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.errors import PipelineError
from returns_pipeline.host.embedded import CONTROL_WORKER, Processes
from returns_pipeline.records.tasks import Task
from returns_pipeline.settings import Settings, environment_of, load_settings, settings_of_home
from returns_pipeline.store import runs
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import chunks

_WORKERS = (1, 2, 4)
_GOAL = 0.15
_DRAWN = (400, 533)
#: Small chunks, so that all workers end at about the same time although a night is short here.
_CHUNK = 16
_WAIT = 600


def plan_check(
    model: Annotated[str, typer.Option(help="NAME or NAME/VERSION.")] = "clothing",
    folder: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="A folder tree of .jpg photos.")
    ] = None,
    photos: Annotated[int, typer.Option(min=64, help="Photos of a night, for each worker.")] = 400,
    cores: Annotated[float, typer.Option(min=0.05, help="The part of a core that each worker gets.")] = 0.25,
    measure_seconds: Annotated[float, typer.Option("--seconds", min=1, help="Of the measurement.")] = 15.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Compare the forecast with real nights of 1, 2 and 4 limited workers."""
    about = machine.describe()
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="returns-bench-") as name:
        work = Path(name)
        distinct = work / "photos"
        if folder:
            copy_photos(folder, distinct, 400)
        else:
            draw_photos(distinct, 400, _DRAWN, 100)
        for number in _WORKERS:
            count = photos * number
            forecast = _forecast(work, model, distinct, count, cores * number, measure_seconds)
            real = _night(work / f"{number}", model, distinct, count, number, cores)
            difference = forecast / real - 1
            found.append(
                {
                    "workers": number,
                    "photos": count,
                    "forecast_seconds": round(forecast, 2),
                    "real_seconds": round(real, 2),
                    "difference": round(difference, 3),
                    "verdict": "reached" if abs(difference) <= _GOAL else "missed",
                }
            )
    if as_json:
        sys.stdout.write(json.dumps({"machine": about, "cores": cores, "nights": found}, indent=2) + "\n")
        return
    print(machine.as_line(about))
    for each in found:
        print(
            f"{each['workers']} workers of {cores:g} core, {each['photos']:,} photos: forecast "
            f"{each['forecast_seconds']:.1f} s, real {each['real_seconds']:.1f} s, "
            f"{each['difference']:+.1%}, goal {_GOAL:.0%}: {each['verdict']}"
        )


def _forecast(work: Path, model: str, photos: Path, count: int, cores: float, seconds: float) -> float:
    """Return the seconds of a night as `plan --measure` tells them."""
    settings = settings_of_home(work / "plan", models_dir=load_settings().models_dir, chunk_size=_CHUNK)
    command = ["plan", "--photos", str(count), "--model", model, "--cores", str(cores), "--json"]
    measured = ["--measure", "--folder", str(photos), "--seconds", str(seconds)]
    done = subprocess.run(
        [sys.executable, "-m", "returns_pipeline.cli", *command, *measured],
        env={**os.environ, **environment_of(settings)},
        capture_output=True,
        text=True,
        timeout=_WAIT,
        check=True,
    )
    return float(json.loads(done.stdout)["plan"]["hours"]) * 3600


def _night(home: Path, model: str, photos: Path, count: int, number: int, cores: float) -> float:
    """Return the seconds in which limited workers classify a night of copies of photos."""
    settings = settings_of_home(
        home,
        models_dir=load_settings().models_dir,
        model=model,
        settle_seconds=0,
        chunk_size=_CHUNK,
        reuse_days=0,
        lease_seconds=_WAIT,
        worker_threads=1,
    )
    database = Database(settings.database_url)
    database.upgrade()
    with ExitStack() as stack:
        groups = [stack.enter_context(limited(cores)) for _ in range(number)]
        others = stack.enter_context(limited(1.0))
        with Processes(settings) as processes:
            processes.start_redis()
            celery = [sys.executable, "-m", "celery", "-A", "workers.app"]
            control = processes.start_command("control", [*celery, *CONTROL_WORKER], Path.cwd())
            for pid in (processes.process("redis").pid, control.pid):
                others.write_text(str(pid), encoding="ascii")
            queue = open_queue(settings)
            for place, group in enumerate(groups):
                worker = [*celery, "worker", "-Q", "interactive,bulk", "-c", "1", "-n", f"cpu{place}@%h"]
                # The shell enters the group, then becomes the worker.
                enter = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group), *worker]
                processes.start_command(
                    f"cpu{place}", [*enter, "--without-gossip", "--without-mingle"], Path.cwd()
                )
            processes.wait_until(lambda: len(queue.workers(timeout=0.5)) > number, "cpu0")
            # Each worker loads the model with its first photos.
            _classify(settings, database, queue, photos, 4 * _CHUNK * number, "warm")
            seconds = _classify(settings, database, queue, photos, count, "night")
    database.close()
    return seconds


def _classify(
    settings: Settings, database: Database, queue: Any, photos: Path, count: int, name: str
) -> float:
    """Return the seconds from the request of a scan until the last chunk is done."""
    settings.incoming_dir.mkdir(parents=True, exist_ok=True)
    files = sorted(photos.iterdir())
    for number in range(count):
        source = files[number % len(files)]
        os.link(source, settings.incoming_dir / f"{name}-{number:06}{source.suffix}")
    queue.send(Task.SCAN, None, request_id=name)
    until = time.monotonic() + _WAIT
    while (run_id := runs.find_request(database, name)) is None or not runs.existing(
        database, run_id
    ).closed_at:
        if time.monotonic() > until:
            raise PipelineError("The night does not end.")
        time.sleep(0.1)
    run = runs.existing(database, run_id)
    if run.counts.classified != count:
        raise PipelineError(f"The night classified {run.counts.classified} of {count} photos.")
    with database.read() as connection:
        last = connection.execute(
            sa.select(sa.func.max(chunks.c.finished_at)).where(chunks.c.run_id == run_id)
        ).scalar_one()
    return float((last - run.opened_at).total_seconds())


if __name__ == "__main__":
    typer.run(plan_check)
