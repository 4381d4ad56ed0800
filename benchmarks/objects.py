"""`python -m benchmarks.objects FOLDER`: a night of photos in a bucket, beside the same night in a folder.

The S3 server and the proxy that delays its requests are other processes of the same machine, so the
comparison is of processor time: that of this process, which scans, classifies and archives.
"""

import logging
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated

import obstore
import structlog
import typer

from benchmarks import machine
from benchmarks.data.photos import copy_photos
from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.classify.runtimes.openvino_runtime import OpenVINOClassifier
from returns_pipeline.errors import PipelineError
from returns_pipeline.photos.objects.stores import store_of
from returns_pipeline.settings import load_settings
from returns_pipeline.settings.loading import settings_of_home
from returns_pipeline.store import runs
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.runs import scan
from tests.objects import new_bucket, s3_server
from tests.s3_proxy import Faults, proxy

_MOST_REQUESTS, _MOST_TIME = 5.0, 1.18


def objects(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder tree of .jpg photos.")],
    photos: Annotated[int, typer.Option(min=10, help="Photos of each night.")] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="Nights of each kind, in turns.")] = 3,
    delay: Annotated[float, typer.Option(min=0, help="Seconds before the first byte.")] = 0.03,
    model: Annotated[str, typer.Option(help="The model of the nights.")] = "clothing",
) -> None:
    """Compare the processor time of a photo, and count the requests."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    models = load_settings().models_dir
    spent: dict[str, list[float]] = {"folder": [], "bucket": []}
    walls: dict[str, list[float]] = {"folder": [], "bucket": []}
    counted: Counter[str] = Counter()
    print(machine.as_line(machine.describe()))
    with tempfile.TemporaryDirectory(prefix="returns-bench-") as temporary, s3_server() as server:
        here, there = multiprocessing.Pipe()
        child = multiprocessing.Process(target=_delay, args=(there, server, delay), daemon=True)
        child.start()
        os.environ |= {
            "AWS_ENDPOINT_URL": here.recv(),
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_REGION": "us-east-1",
        }
        copies = Path(temporary) / "photos"
        copy_photos(folder, copies, photos)
        for number, kind in [(number, kind) for number in range(rounds) for kind in spent]:
            bucket = new_bucket(server) if kind == "bucket" else None
            context, queue = _filled(Path(temporary) / f"{kind}-{number}", copies, bucket, models, model)
            here.send("clear")
            began, wall = _processor(), time.perf_counter()
            _night(context, queue, photos)
            spent[kind].append(1000 * (_processor() - began) / photos)
            walls[kind].append(time.perf_counter() - wall)
            context.close()
            here.send("counts")
            found: Counter[str] = here.recv()
            counted = found if kind == "bucket" else counted
        here.send("end")
        child.join()
    ratio = min(spent["bucket"]) / min(spent["folder"])
    asked = sum(counted.values()) / photos
    for kind, each in spent.items():
        print(
            f"{kind}: {min(each):.2f} ms of a core for a photo, median {statistics.median(each):.2f}; "
            f"{photos / min(walls[kind]):.0f} photos/s with start and end"
        )
    print(f"processor time: {ratio:.2f} of the folder's, goal {_MOST_TIME}: {_word(ratio <= _MOST_TIME)}")
    print(
        f"requests for a photo: {asked:.2f}, goal {_MOST_REQUESTS:.0f}: {_word(asked <= _MOST_REQUESTS)} "
        f"({', '.join(f'{name} {count / photos:.2f}' for name, count in counted.most_common())})"
    )


def _filled(
    home: Path, photos: Path, bucket: str | None, models: Path, model: str
) -> tuple[Context, InProcessQueue]:
    """Return an installation whose intake has the photos, and whose model is loaded."""
    places = {}
    if bucket is not None:
        names = {"incoming_dir": "in", "archive_dir": "archive", "quarantine_dir": "quarantine"}
        places = {name: f"{bucket}/{prefix}" for name, prefix in names.items()}
    settings = settings_of_home(home, models_dir=models, model=model, settle_seconds=0, **places)
    database = Database(settings.database_url)
    database.upgrade()
    if bucket is None:
        settings.incoming_dir.mkdir(parents=True)
    for path in photos.iterdir():
        if bucket is None:
            (settings.incoming_dir / path.name).write_bytes(path.read_bytes())
        else:
            obstore.put(store_of(bucket), f"in/{path.name}", path.read_bytes())
    queue = InProcessQueue()
    context = Context(settings, database, queue, OpenVINOClassifier)
    bundle = find_bundle(models, model)
    context.model(str(bundle.ref), bundle.digest)
    return context, queue


def _night(context: Context, queue: InProcessQueue, photos: int) -> None:
    run_id = scan(context, "night")
    queue.deliver(context)
    counts = runs.existing(context.db, run_id).counts
    if counts.classified != photos:
        raise PipelineError(f"The night classified {counts.classified} of {photos} photos.")


def _processor() -> float:
    """Return the seconds of processor time of this process and its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _delay(pipe: Connection, server: str, delay: float) -> None:
    """Run the proxy; answer requests for its counts."""
    faults = Faults(delay=delay)
    with proxy(server, faults) as address:
        pipe.send(address)
        while (word := pipe.recv()) != "end":
            if word == "clear":
                faults.counts.clear()
            else:
                pipe.send(faults.counts.copy())


def _word(reached: bool) -> str:
    return "reached" if reached else "missed"


if __name__ == "__main__":
    typer.run(objects)
