"""`python -m benchmarks.gpu`: workers with the Keras runtime, on the accelerator that Keras finds.

Each line is a whole nightly scan, from sending it until its run is closed. Before that, decoding and
predicting are measured alone: neither depends on the other, so the slower one bounds a worker.
KERAS_BACKEND chooses jax, torch or tensorflow.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.data.fashion import write_images
from benchmarks.data.photos import draw_photos
from benchmarks.measuring import Job, run
from returns_pipeline.classify.bundle import Bundle, find_bundle
from returns_pipeline.classify.runtimes.keras_runtime import BATCH, KerasClassifier
from returns_pipeline.photos.decoding import bytes_to_pixels
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.settings import load_settings

_DISTINCT = {"photos": 200, "12 megapixels": 20}
_SIZES = {"photos": (400, 533), "12 megapixels": (4000, 3000)}
_MODELS = {"small images": "fashion-mnist", "photos": "clothing", "12 megapixels": "clothing"}
_ALONE_SECONDS = 3.0
_WARM_BATCHES = 3


class Setup(NamedTuple):
    """Worker processes on one device, the decode threads of each, and whether they compute in float16."""

    processes: int
    threads: int
    mixed: bool = False


def gpu(
    images: Annotated[int, typer.Option(min=0, help="Small images; 0: none.")] = 50_000,
    photos: Annotated[int, typer.Option(min=0, help="Photos of 400x533; 0: none.")] = 10_000,
    large: Annotated[int, typer.Option(min=0, help="Pictures of 12 megapixels; 0: none.")] = 1_000,
    setup: Annotated[
        list[str] | None, typer.Option(help="PROCESSES:THREADS or PROCESSES:THREADS:mixed; may be repeated.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Scans of each line; the median counts.")] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the results here too.")] = None,
) -> None:
    """Measure workers with the Keras runtime on this machine's accelerator."""
    # Several processes share the device only if none of them reserves all of its memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    console = Console(highlight=False, width=120)
    console.print(machine.as_line(machine.describe()))
    setups = [_parsed(text) for text in setup or ["1:0", "1:8", "1:8:mixed"]]
    counts = {"small images": images, "photos": photos, "12 megapixels": large}
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="returns-gpu-") as temporary:
        for name, count in counts.items():
            if not count:
                continue
            folder = Path(temporary) / name.replace(" ", "-")
            described = _write(name, folder / "images", count)
            settings = load_settings()
            bundle = find_bundle(settings.models_dir, _MODELS[name])
            console.print(f"\n{name}: {described}; model {bundle.ref}")
            for what, rate in _alone(bundle, folder / "images"):
                console.print(f"{what}: {rate:,.0f}")
                results.append({"workload": name, "alone": what, "figure": round(rate, 1)})
            table = Table(
                "processes", "decode threads", "precision", "images/s", "ms of work for 1,000 images"
            )
            for each in setups:
                line = _night(name, folder, count, bundle, each, rounds)
                results.append(line)
                stages = sorted(line["stages"].items(), key=lambda stage: -stage[1])
                table.add_row(
                    str(each.processes),
                    str(each.threads),
                    "float16" if each.mixed else "float32",
                    f"{line['rate']:,.0f}",
                    ", ".join(f"{stage} {spent:,.0f}" for stage, spent in stages),
                )
            console.print(table)
    if json_file:
        json_file.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _parsed(text: str) -> Setup:
    processes, threads, *rest = text.split(":")
    return Setup(int(processes), int(threads), rest == ["mixed"])


def _write(name: str, folder: Path, count: int) -> str:
    if name not in _SIZES:
        return write_images(folder, count)
    return draw_photos(folder, count, _SIZES[name], _DISTINCT[name])


def _alone(bundle: Bundle, folder: Path) -> Iterator[tuple[str, float]]:
    """Yield sentences, each with a figure: the start, then images/s of predicting and of decoding."""
    began = time.perf_counter()
    classifier = KerasClassifier(bundle)
    batch = np.random.default_rng(1).integers(0, 256, (BATCH, *bundle.input.shape), np.uint8)
    for _ in range(_WARM_BATCHES):
        classifier.predict(batch)
    yield "seconds to load and compile the model", time.perf_counter() - began
    yield (
        f"predict alone, float32, batches of {BATCH}, images/s",
        _rate(lambda: classifier.predict(batch), BATCH),
    )
    limits = Limits.of(load_settings())
    contents = [file.read_bytes() for file in sorted(folder.iterdir())[:BATCH]]

    def decode(content: bytes) -> object:
        return bytes_to_pixels.decode(content, bundle.input, limits)

    for threads in (1, len(os.sched_getaffinity(0))):
        with ThreadPoolExecutor(threads) as pool:
            rate = _rate(lambda pool=pool: list(pool.map(decode, contents)), len(contents))  # type: ignore[misc]
        yield f"decode alone, {threads} threads, images/s", rate


def _rate(work: Callable[[], object], images: int) -> float:
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < _ALONE_SECONDS:
        work()
        done += images
    return done / (time.perf_counter() - began)


def _night(name: str, folder: Path, count: int, bundle: Bundle, setup: Setup, rounds: int) -> dict[str, Any]:
    options = {"runtime": "keras", "decode_threads": setup.threads, "mixed_precision": setup.mixed}
    work = folder / "-".join(map(str, setup))
    job = Job(
        module="benchmarks.systems.pipeline",
        images=folder / "images",
        count=count,
        rounds=rounds,
        processes=setup.processes,
        bundle=bundle.folder,
        work=work,
        options={"settings": {**options, "worker_memory_mb": 65536}},
    )
    (measured,) = run([job])
    return {
        "workload": name,
        **setup._asdict(),
        "images": count,
        "seconds": [round(each, 2) for each in measured.seconds],
        "rate": round(count / statistics.median(measured.seconds), 1),
        "stages": measured.detail["runs"][-1]["stages_ms_per_1000"],
    }


if __name__ == "__main__":
    typer.run(gpu)
