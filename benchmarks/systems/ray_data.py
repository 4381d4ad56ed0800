"""Ray Data with its own image reader, actors that hold the model, and its own Parquet writer.

A bad image gets no row. Ray's dashboard and usage reports are off.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measuring import Job, Measurement, link, require_rows
from returns_pipeline.classify.bundle import load_bundle
from returns_pipeline.classify.runtimes.registry import load_classifier

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH = 128
_WARM_IMAGES = 512
_COLUMNS = {"path", "label", "probability"}


class Model:
    """One actor's model: the OpenVINO export on one thread."""

    def __init__(self, bundle: str) -> None:
        """Load the model of the bundle in the folder `bundle`."""
        self._classifier = load_classifier(load_bundle(Path(bundle)), "openvino", threads=1)
        self._shape = load_bundle(Path(bundle)).input.shape

    def __call__(self, batch: "dict[str, NDArray[Any]]") -> "dict[str, NDArray[Any]]":
        """Return the paths of a batch with their labels and probabilities, without the pixels."""
        pixels = np.ascontiguousarray(batch["image"], dtype=np.uint8).reshape(-1, *self._shape)
        scores = self._classifier.predict(pixels).probabilities
        return {"path": batch["path"], "label": scores.argmax(axis=1), "probability": scores.max(axis=1)}


def measure(job: Job) -> Measurement:
    """Read, classify and write the images `job.rounds` times. Starting Ray and a first use are not timed.

    Reads every file of `job.images`, so the folder must have `job.count` files.
    """
    cores = job.processes
    link(job.files(_WARM_IMAGES), job.work / "warm")
    with _ray(cores):
        _classify(job, job.work / "warm", job.work / "warm-rows", cores)
        seconds = []
        for number in range(job.rounds):
            target = job.work / f"rows-{number}"
            began = time.perf_counter()
            _classify(job, job.images, target, cores)
            seconds.append(time.perf_counter() - began)
    labels = _labels(target)
    require_rows(labels, job)
    return Measurement(seconds, len(labels), labels, {"actors": cores, "batch": _BATCH})


@contextmanager
def _ray(cores: int) -> Iterator[None]:
    """Start Ray on this machine only; stop its processes and delete its files afterwards."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    # Ray's sockets are in this folder, and their paths must be short.
    with tempfile.TemporaryDirectory(prefix="r-", ignore_cleanup_errors=True) as folder:
        # Twice the cores: an actor reserves one even while it waits, and reading needs cores too.
        ray.init(
            num_cpus=2 * cores,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=folder,
        )
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        try:
            yield
        finally:
            ray.shutdown()


def _classify(job: Job, folder: Path, target: Path, cores: int) -> None:
    """Write the labels of every image of `folder` into Parquet files in the new folder `target`."""
    import ray

    size = job.model().input
    dataset = ray.data.read_images(
        str(folder),
        size=(size.height, size.width),
        mode="L" if size.channels == 1 else "RGB",
        include_paths=True,
    )
    dataset.map_batches(
        Model,
        fn_constructor_args=(str(job.bundle),),
        batch_size=_BATCH,
        compute=ray.data.ActorPoolStrategy(size=cores),
        num_cpus=1,
    ).select_columns(sorted(_COLUMNS)).write_parquet(str(target))


def _labels(folder: Path) -> dict[str, int]:
    """Return the label of each file in the Parquet files of a folder."""
    from pyarrow import parquet

    rows = parquet.read_table(folder, columns=["path", "label"]).to_pydict()
    return {Path(path).name: int(label) for path, label in zip(rows["path"], rows["label"], strict=True)}
