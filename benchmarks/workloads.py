"""What is measured: workloads, the systems in each, and how the images of each are made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from benchmarks import mobilenet
from benchmarks.data.fashion import write_images
from benchmarks.data.photos import copy_photos, draw_photos, find_photos
from benchmarks.data.tiny import write_tiny
from returns_pipeline.classify.bundle import Bundle, find_bundle
from returns_pipeline.settings import load_settings

SystemName = Literal["pipeline", "raw", "tf.data", "ray", "task", "http", "unscaled"]


class WorkloadName(StrEnum):
    """What can be chosen with `--workload`."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    FOOTPRINT = "footprint"


_PHOTO, _LARGE = (400, 533), (4000, 3000)
_DRAWN_PHOTOS, _DISTINCT_PHOTOS, _DISTINCT_LARGE = 1_000, 250, 20


@dataclass(frozen=True, slots=True)
class Request:
    """What the command was asked for; None where a workload has a default of its own."""

    images: int | None = None
    slow_images: int | None = None
    rounds: int | None = None
    photos: Path | None = None
    only: str | None = None
    tiny: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One system in one workload: `module` has its `measure`, `options` are the job's.

    `least` is the share of its labels that must be the reference's. `part` is the share of the images that it
    gets; a slow one gets a few and fewer rounds. `package` is what it needs beyond the development tools.
    """

    system: str
    title: str
    module: str
    least: float = 1.0
    part: float = 1.0
    slow: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    package: str | None = None

    def is_asked_for(self, only: str | None) -> bool:
        """Whether `--only` names this system, or names none."""
        return only is None or self.system.startswith(only)

    @property
    def is_there(self) -> bool:
        """Whether the package that it needs is installed."""
        return self.package is None or find_spec(self.package) is not None


@dataclass(frozen=True, slots=True)
class Prepared:
    """The images of a workload: `count` files in a flat folder, the model, and a sentence about them.

    `labels` are the right ones where they are known without asking Keras.
    """

    images: Path
    count: int
    bundle: Bundle
    sentence: str
    labels: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """Images, a model, and the systems that are measured on them; `slow_images` for those that are slow.

    `prepare` writes the images into a new folder. `imaging`: the reference decodes as the pipeline does.
    """

    name: WorkloadName
    title: str
    prepare: Callable[[Path, int, Request], Prepared]
    images: int
    tiny_images: int
    rounds: int
    entries: tuple[Entry, ...]
    imaging: bool = False
    slow_images: int = 0
    tiny_slow_images: int = 0
    slow_rounds: int = 0

    def count(self, request: Request) -> int:
        """Return how many images are asked for."""
        return request.images or (self.tiny_images if request.tiny else self.images)

    def count_for(self, entry: Entry, prepared: Prepared, request: Request) -> int:
        """Return how many of the prepared images a system gets."""
        if entry.slow:
            few = self.tiny_slow_images if request.tiny else self.slow_images
            return min(request.slow_images or few, prepared.count)
        return max(1, round(prepared.count * entry.part))

    def rounds_for(self, entry: Entry, request: Request) -> int:
        """Return how often a system is timed."""
        rounds = request.rounds or (1 if request.tiny else self.rounds)
        return min(rounds, self.slow_rounds) if entry.slow else rounds


def shipped() -> Bundle:
    """Return the model that the settings name: the shipped one unless they say otherwise.

    Of NAME the highest version on disk, which a fresh home's first run makes active.
    """
    settings = load_settings()
    return find_bundle(settings.models_dir, settings.model)


def _fashion(folder: Path, count: int, _request: Request) -> Prepared:
    sentence = write_images(folder, count)
    return Prepared(folder, count, shipped(), sentence)


def _photos(folder: Path, count: int, request: Request) -> Prepared:
    if request.photos:
        # All of them, unless a number was asked for.
        count = copy_photos(request.photos, folder, count if request.images or request.tiny else None)
        sentence = f"{count:,} photos of --photos"
    else:
        sentence = draw_photos(folder, count, _PHOTO, _DISTINCT_PHOTOS)
    return Prepared(folder, count, _mobilenet(folder, request), sentence)


def _large(folder: Path, count: int, request: Request) -> Prepared:
    sentence = draw_photos(folder, count, _LARGE, _DISTINCT_LARGE)
    return Prepared(folder, count, _mobilenet(folder, request), sentence)


def _mobilenet(folder: Path, request: Request) -> Bundle:
    """Return the model for photos, in a folder that keeps it for the next time."""
    looked_at = find_photos(request.photos, mobilenet.LOOKED_AT) if request.photos else None
    work = folder.with_name("mobilenet")
    work.mkdir()
    return mobilenet.get_bundle(looked_at, load_settings().home / "bench", work)


def _tiny(folder: Path, count: int, _request: Request) -> Prepared:
    bundle = shipped()
    labels = write_tiny(folder, count, len(bundle.labels))
    return Prepared(
        folder, count, bundle, f"{count:,} tiny PNG files and the stub instead of a model", labels
    )


_PIPELINE, _UNSCALED = "benchmarks.systems.pipeline", "benchmarks.systems.unscaled"
_RAW, _TF_DATA = "benchmarks.systems.raw", "benchmarks.systems.tf_data"
_RAY, _TASK = "benchmarks.systems.ray_data", "benchmarks.systems.task_per_image"
_HTTP = "benchmarks.systems.http_flask"
_NEARLY_ALL = 0.999
#: Small chunks, so that a few large pictures give every process some.
_FEW = {"settings": {"chunk_size": 10}}
_STUB = {"settings": {"runtime": "stub"}}

WORKLOADS = (
    Workload(
        WorkloadName.A,
        "small images, the shipped model",
        _fashion,
        images=10_000,
        tiny_images=64,
        rounds=5,
        slow_images=300,
        tiny_slow_images=8,
        slow_rounds=3,
        entries=(
            Entry("pipeline", "pipeline: scan to closed run", _PIPELINE),
            Entry("raw", "bare loop, a process for each core", _RAW),
            Entry("tf.data", "tf.data, one process", _TF_DATA),
            Entry("ray", "Ray Data", _RAY, package="ray"),
            Entry("task", "one task an image", _TASK, slow=True),
            Entry("http", "Flask, one image at a time", _HTTP, slow=True),
        ),
    ),
    Workload(
        WorkloadName.B,
        "photos, MobileNetV2",
        _photos,
        images=_DRAWN_PHOTOS,
        tiny_images=24,
        rounds=3,
        imaging=True,
        entries=(
            Entry("pipeline", "pipeline: scan to closed run", _PIPELINE, least=_NEARLY_ALL),
            Entry("raw", "bare loop, a process for each core", _RAW, least=_NEARLY_ALL),
            # It makes pictures smaller in a way of its own.
            Entry("tf.data", "tf.data, one process", _TF_DATA, least=0, options={"batch": 64}),
        ),
    ),
    Workload(
        WorkloadName.C,
        "pictures of 12 megapixels, MobileNetV2",
        _large,
        images=200,
        tiny_images=2,
        rounds=3,
        imaging=True,
        entries=(
            Entry("pipeline", "pipeline: scan to closed run", _PIPELINE, least=_NEARLY_ALL, options=_FEW),
            Entry("unscaled", "pipeline without JPEG scaling", _UNSCALED, least=0, options=_FEW),
        ),
    ),
    Workload(
        WorkloadName.D,
        "the queue alone",
        _tiny,
        images=200_000,
        tiny_images=2_000,
        rounds=3,
        entries=(
            Entry("pipeline-tenth", "pipeline, a tenth of the images", _PIPELINE, part=0.1, options=_STUB),
            Entry("pipeline", "pipeline, all images", _PIPELINE, options={**_STUB, "watch_memory": True}),
        ),
    ),
    Workload(
        WorkloadName.FOOTPRINT,
        "what a worker process, a message and a command cost",
        _fashion,
        images=64,
        tiny_images=64,
        rounds=5,
        entries=(
            Entry("worker-start", "start of a worker process", "benchmarks.worker_start"),
            Entry("redis-memory", "Redis", "benchmarks.redis_memory"),
            Entry("commands", "commands", "benchmarks.commands"),
        ),
    ),
)
