"""`python -m benchmarks.vectors`: how fast and how exact the search among vectors of products is.

And how many pictures a second a core embeds, beside how many photos it classifies.

The vectors are drawn: as many looks as products have kinds and colours, each with variation. Recall is the
share of the ten nearest of an exact search that the index finds too.
"""

import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from benchmarks import machine
from returns_pipeline.classify.bundle import load_bundle
from returns_pipeline.classify.runtimes.openvino_runtime import OpenVINOClassifier
from returns_pipeline.classify.spaces.embedder import Embedder, quantized
from returns_pipeline.classify.spaces.space import find_space
from returns_pipeline.settings import load_settings
from returns_pipeline.vectors import index
from returns_pipeline.vectors.index import Stamp
from returns_pipeline.vectors.nearest import Exact, Found

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_DIMENSIONS, _LOOKS, _QUERIES, _NEAREST = 186, 2_000, 300, 10
_AT_ONCE = 50_000
_PICTURES, _ROUNDS = 32, 6


def draw(count: int) -> "NDArray[np.int8]":
    """Return int8 [count, 186]."""
    random = np.random.default_rng(0)
    looks = random.normal(size=(_LOOKS, _DIMENSIONS)).astype(np.float32)
    rows = np.empty((count, _DIMENSIONS), np.int8)
    for start in range(0, count, _AT_ONCE):
        some = min(_AT_ONCE, count - start)
        noise = random.normal(size=(some, _DIMENSIONS)).astype(np.float32)
        rows[start : start + some] = quantized(looks[random.integers(0, _LOOKS, some)] + 0.7 * noise)
    return rows


def main(
    count: Annotated[list[int], typer.Option("--count", help="Products.")] = [50_000, 100_000],  # noqa: B006 - typer copies it
) -> None:
    """Print milliseconds of a search, recall, seconds to build, and bytes."""
    print(machine.as_line(machine.describe()))
    _measure_networks()
    for each in count:
        _measure(each)


def _measure_networks() -> None:
    """Print pictures a second of the space and of the model `clothing`, one thread each, in turns."""
    settings = load_settings()
    embedder = Embedder(find_space(settings.spaces_dir, "products"))
    bundle = load_bundle(settings.models_dir / "clothing" / "1")
    classifier = OpenVINOClassifier(bundle)
    seconds: dict[str, list[float]] = {"embeds": [], "classifies": []}
    random = np.random.default_rng(0)
    for _ in range(_ROUNDS):
        for name, run, shape in (
            ("embeds", embedder.embed, embedder.space.input.shape),
            ("classifies", classifier.predict, bundle.input.shape),
        ):
            pixels = random.integers(0, 256, (_PICTURES, *shape), dtype=np.uint8)
            began = time.perf_counter()
            run(pixels)
            seconds[name].append(time.perf_counter() - began)
    rates = {name: _PICTURES / float(np.median(each)) for name, each in seconds.items()}
    ratio = rates["embeds"] / rates["classifies"]
    print(
        f"one core embeds {rates['embeds']:.0f}/s, classifies {rates['classifies']:.0f}/s: ratio {ratio:.2f}"
    )


def _measure(count: int) -> None:
    rows, ids = draw(count), np.arange(count)
    random = np.random.default_rng(1)
    noise = random.integers(-20, 21, (_QUERIES, _DIMENSIONS))
    queries = np.clip(rows[random.integers(0, count, _QUERIES)] + noise, -127, 127).astype(np.int8)
    wanted, exact_ms = _timed(Exact(ids, rows).search, queries)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.usearch"
        began = time.perf_counter()
        sha256 = index.build(path, ids, rows)
        seconds = time.perf_counter() - began
        size = path.stat().st_size
        opened = index.open_index(path, _DIMENSIONS, Stamp("", 0, count), sha256)
        assert opened is not None  # noqa: S101 - a benchmark
        found, index_ms = _timed(opened.search, queries)
    recall = np.mean([len({*a} & {*b}) / _NEAREST for a, b in zip(wanted, found, strict=True)])
    for name, times in (("exact", exact_ms), ("index", index_ms)):
        p50, p99 = np.percentile(times, [50, 99])
        print(f"{count:>9,} {name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count:>9,} index: recall@10 {recall:.4f}, built in {seconds:.0f} s, file {size / 2**20:,.0f} MiB"
    )
    print(f"{count:>9,} whole process at most {memory:,.0f} MiB, with the exact search")


def _timed(
    search: "Callable[[NDArray[np.int8], int], Found]", queries: "NDArray[np.int8]"
) -> tuple[list[list[int]], list[float]]:
    found, times = [], []
    for one in queries:
        began = time.perf_counter()
        ids = search(one, _NEAREST).ids
        times.append((time.perf_counter() - began) * 1000)
        found.append(ids.tolist())
    return found, times


if __name__ == "__main__":
    typer.run(main)
