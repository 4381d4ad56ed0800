"""`python -m benchmarks.comparing`: how control workers divide the photos that are compared after a night.

A night of drawn photos is classified first. Then 1, 2 and 4 control workers, each of which may use a part of
a core, compare its photos. What counts is the time from the first message until no chunk waits.
"""

import json
import logging
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Literal

import structlog
import typer

from benchmarks import machine
from benchmarks.data.photos import draw_photos
from benchmarks.limited import limited
from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.classify.runtimes.stub_runtime import StubClassifier
from returns_pipeline.errors import PipelineError
from returns_pipeline.host.embedded import CONTROL_WORKER, Processes
from returns_pipeline.photos.likeness import thumbnails
from returns_pipeline.records.tasks import Task
from returns_pipeline.settings import Settings, settings_of_home
from returns_pipeline.store import likeness
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.context import Context
from tests.databases import empty_database, postgres_server
from tests.support import write_stub_bundle

_WORKERS = (1, 2, 4)
#: The goal: so many times as many photos per second for each worker more.
_GOAL = 0.85
#: Pixels of a drawn photo, and photos of a chunk.
_SIZE, _CHUNK = (100, 133), 64
_WAIT = 600


def comparing(
    database: Annotated[Literal["sqlite", "postgresql"], typer.Option(help="The database.")] = "postgresql",
    photos: Annotated[int, typer.Option(min=64, help="Photos of a night, for each worker.")] = 2000,
    cores: Annotated[float, typer.Option(min=0.05, help="The part of a core that each worker gets.")] = 0.3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Compare the photos of nights by 1, 2 and 4 limited workers."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    about = machine.describe()
    found: list[dict[str, Any]] = []
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="returns-bench-")))
        server = stack.enter_context(postgres_server()) if database == "postgresql" else ""
        bundle = write_stub_bundle(work / "models", side=thumbnails.SIDE)
        for number in _WORKERS:
            home = work / f"{number}"
            home.mkdir()
            with empty_database(database, home, lambda: server) as url:
                settings = settings_of_home(
                    home / "home",
                    database_url=url,
                    models_dir=work / "models",
                    model=bundle.name,
                    runtime="stub",
                    settle_seconds=0,
                    chunk_size=_CHUNK,
                )
                count = photos * number
                _night(settings, count)
                rate = count / _seconds(settings, number, cores)
            share = rate / number / (found[0]["photos_per_second"] if found else rate)
            found.append(
                {
                    "workers": number,
                    "photos": count,
                    "photos_per_second": round(rate, 1),
                    "share_of_linear": round(share, 3),
                    "verdict": "reached" if share >= _GOAL else "missed",
                }
            )
    if as_json:
        sys.stdout.write(json.dumps({"machine": about, "cores": cores, "nights": found}, indent=2) + "\n")
        return
    print(machine.as_line(about))
    for each in found:
        print(
            f"{database}, {each['workers']} workers of {cores:g} core, {each['photos']:,} photos: "
            f"{each['photos_per_second']:.0f} photos/s, {each['share_of_linear']:.0%} of as many times one "
            f"worker, goal {_GOAL:.0%}: {each['verdict']}"
        )


def _night(settings: Settings, count: int) -> None:
    """Classify a night of drawn photos in this process, and leave them uncompared."""
    draw_photos(settings.incoming_dir, count, _SIZE, count)
    database, queue = Database(settings.database_url), InProcessQueue()
    database.upgrade()
    context = Context(settings, database, queue, StubClassifier)
    queue.send(Task.SCAN)
    while queue.messages:
        if queue.messages[0].task is Task.MATCH_PHOTOS:
            queue.messages.popleft()
        else:
            queue.deliver_one(context)
    if not likeness.waiting(database, 1):
        raise PipelineError("No photo of the night waits for a comparison.")
    context.close()


def _seconds(settings: Settings, number: int, cores: float) -> float:
    """Return the seconds in which so many limited control workers compare all that waits."""
    database = Database(settings.database_url)
    with ExitStack() as stack:
        groups = [stack.enter_context(limited(cores)) for _ in range(number)]
        with Processes(settings) as processes:
            processes.start_redis()
            queue = open_queue(settings)
            celery = [sys.executable, "-m", "celery", "-A", "workers.app", *CONTROL_WORKER]
            for place, group in enumerate(groups):
                # The shell enters the group, then becomes the worker.
                enter = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group), *celery]
                processes.start_command(f"control{place}", [*enter, "-n", f"control{place}@%h"], Path.cwd())
            processes.wait_until(lambda: len(queue.workers(timeout=0.5)) >= number, "control0")
            began = time.monotonic()
            queue.send(Task.MATCH_PHOTOS)
            while likeness.waiting(database, 1):
                if time.monotonic() > began + _WAIT:
                    raise PipelineError("The comparison does not end.")
                time.sleep(0.05)
            seconds = time.monotonic() - began
    database.close()
    return seconds


if __name__ == "__main__":
    typer.run(comparing)
