"""`python -m benchmarks.vectors`: how fast and how exact the search among vectors of products is.

And how many pictures a second a core embeds, beside how many photos it classifies.

The vectors are drawn: as many looks as products have kinds and colours, each with variation. Recall is the
share of the ten nearest of an exact search that the index finds too. Each search has a process of its own,
whose largest memory is printed. A million: `--count 1000000`.
"""

import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

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
from returns_pipeline.vectors.nearest import Exact, Found, unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.pool import Pool

    from numpy.typing import NDArray

_DIMENSIONS, _LOOKS, _QUERIES, _NEAREST = 186, 2_000, 300, 10
#: Exact searches that are timed.
_EXACT = 30
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
    with tempfile.TemporaryDirectory() as name, _process() as other:
        folder = Path(name)
        other.apply(_prepare, (folder, count))
        with _process() as builder:
            _print(count, "build", *builder.apply(_build, (folder, count)))
        with _process() as searcher:
            indexed = searcher.apply(_search_index, (folder,))
        with _process() as searcher:
            exact = searcher.apply(_search_exactly, (folder,))
        wanted = np.load(folder / "wanted.npy")
        size = (folder / "index.usearch").stat().st_size
    recall = np.mean([len({*a} & {*b}) / _NEAREST for a, b in zip(wanted, indexed.found, strict=True)])
    _print(count, "index", indexed.ms, indexed.mib)
    print(f"{count:>9,} index: recall@10 {recall:.4f}, file {size / 2**20:,.0f} MiB")
    _print(count, "exact", exact.ms, exact.mib)


def _process() -> "Pool":
    """Return a process of its own: what this one has in memory is not counted."""
    return multiprocessing.get_context("spawn").Pool(1)


def _print(count: int, name: str, times: "Sequence[float]", mib: float) -> None:
    p50, p99 = np.percentile(times, [50, 99])
    print(
        f"{count:>9,} {name}: p50 {p50:,.2f} ms, p99 {p99:,.2f} ms; process at most {mib:,.0f} MiB",
        flush=True,
    )


def _peak_mib() -> float:
    # Not ru_maxrss: a process begins with that of the one which started it.
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _prepare(folder: Path, count: int) -> None:
    """Write vectors, queries, and the nearest vectors of each query."""
    rows = draw(count)
    random = np.random.default_rng(1)
    noise = random.integers(-20, 21, (_QUERIES, _DIMENSIONS))
    queries = np.clip(rows[random.integers(0, count, _QUERIES)] + noise, -127, 127).astype(np.int8)
    best = np.zeros((_QUERIES, 0), np.float32), np.zeros((_QUERIES, 0), np.int64)
    for start in range(0, count, _AT_ONCE):
        values = unit(queries) @ unit(rows[start : start + _AT_ONCE]).T
        ids = np.broadcast_to(np.arange(start, start + values.shape[1]), values.shape)
        values, ids = np.hstack([best[0], values]), np.hstack([best[1], ids])
        some = np.argsort(-values, axis=1, kind="stable")[:, :_NEAREST]
        best = np.take_along_axis(values, some, 1), np.take_along_axis(ids, some, 1)
    for name, content in (("rows", rows), ("queries", queries), ("wanted", best[1])):
        np.save(folder / f"{name}.npy", content)


def _build(folder: Path, count: int) -> tuple[list[float], float]:
    """Write an index; return its milliseconds, and the largest memory of this process in MiB."""
    rows = np.load(folder / "rows.npy")
    began = time.perf_counter()
    sha256 = index.build(folder / "index.usearch", np.arange(count), rows)
    seconds = time.perf_counter() - began
    index.write_stamp(folder / "index.json", Stamp("", 0, count), sha256)
    return [seconds * 1000], _peak_mib()


class _Searched(NamedTuple):
    """The ids that were found, the milliseconds of each search, and the largest memory in MiB."""

    found: list[list[int]]
    ms: list[float]
    mib: float


def _search_index(folder: Path) -> _Searched:
    known = index.read_stamp(folder / "index.json")
    assert known is not None  # noqa: S101 - a benchmark
    opened = index.open_index(folder / "index.usearch", _DIMENSIONS, *known)
    assert opened is not None  # noqa: S101 - a benchmark
    return _Searched(*_timed(opened.search, np.load(folder / "queries.npy")), _peak_mib())


def _search_exactly(folder: Path) -> _Searched:
    """Search as a process does before the index of its vectors is written."""
    rows = np.load(folder / "rows.npy")
    search = Exact(np.arange(len(rows)), rows).search
    return _Searched(*_timed(search, np.load(folder / "queries.npy")[:_EXACT]), _peak_mib())


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
