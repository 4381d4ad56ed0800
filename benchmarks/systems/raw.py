"""The upper limit: a bare loop of read, decode, predict and insert, in one process for each core.

It has no queue, no rows before the result, no archive, no recovery, no check of the file type and no
orientation. An interruption loses everything, and the first file that is not an image ends it. No pipeline
with the same libraries can be faster. The distance to this limit is the price of the pipeline's safety.
"""

import io
import multiprocessing
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import simplejpeg
from PIL import Image

from benchmarks.measuring import Job, Measurement, Processors, require_rows
from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.classify.runtimes.openvino_runtime import OpenVINOClassifier
from returns_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_BATCH = 128
_JPEG = b"\xff\xd8"
_WARM_BATCHES = 3
_READY, _DONE = "ready", "done"
_START_SECONDS, _ROUND_SECONDS = 120, 3600
_TABLE = "CREATE TABLE predictions (file TEXT, label INTEGER NOT NULL, probability REAL NOT NULL)"
_INSERT = "INSERT INTO predictions VALUES (?, ?, ?)"


def measure(job: Job) -> Measurement:
    """Classify the images `job.rounds` times: from the signal to begin until all processes are done.

    Starting, loading the model and some batches to warm up are not timed.
    """
    processes = job.processes
    seconds, processors = [], Processors()
    with _workers(job, processes) as workers:
        for number in range(job.rounds):
            with processors.round():
                began = time.perf_counter()
                for worker in workers:
                    worker.send(str(job.work / str(number)))
                for worker in workers:
                    _wait_for(worker, _DONE, _ROUND_SECONDS)
                seconds.append(time.perf_counter() - began)
    labels = _labels(job.work, str(job.rounds - 1), processes)
    require_rows(labels, job)
    return Measurement(
        seconds,
        len(labels),
        labels,
        {"processes": processes, "batch": _BATCH, "processor_seconds": processors.rounds},
    )


@contextmanager
def _workers(job: Job, count: int) -> Iterator[Sequence["Connection[Any, Any]"]]:
    """Start the processes; yield a connection to each when all are warm; stop them."""
    # Spawned, because threads of OpenVINO do not survive a fork.
    context = multiprocessing.get_context("spawn")
    connections: list[Connection[Any, Any]] = []
    processes = []
    try:
        for index in range(count):
            here, there = context.Pipe()
            processes.append(context.Process(target=_serve, args=(job, index, count, there), daemon=True))
            processes[-1].start()
            there.close()
            connections.append(here)
        for connection in connections:
            _wait_for(connection, _READY, _START_SECONDS)
        yield connections
    finally:
        for connection in connections:
            connection.close()
        for process in processes:
            process.join(5)
            process.kill()
            process.join()


def _wait_for(connection: "Connection[Any, Any]", wanted: str, seconds: float) -> None:
    try:
        if connection.poll(seconds) and connection.recv() == wanted:
            return
    except EOFError:
        pass
    raise PipelineError(f"A process of the bare loop did not send {wanted!r}; see its log.")


def _serve(job: Job, index: int, step: int, connection: "Connection[Any, Any]") -> None:
    """Run one process: load the model, warm up, write a SQLite file per message until the pipe closes."""
    loop = Loop(job.model(), job.images)
    names = [file.name for file in job.files(_WARM_BATCHES * _BATCH)]
    loop.classify(names, str(job.work / f"warm-{index}.sqlite3"))
    connection.send(_READY)
    while True:
        try:
            target = connection.recv()
        except EOFError:
            return
        names = sorted(os.listdir(job.images))[: job.count]  # noqa: PTH208 - a Path for each image is slow
        # A file for each process, so that none waits for a lock.
        loop.classify(names[index::step], f"{target}-{index}.sqlite3")
        connection.send(_DONE)


class Loop:
    """One process's model and its buffer for a batch of pixels."""

    def __init__(self, bundle: Bundle, folder: Path) -> None:
        """Load the OpenVINO export for one thread; read images from `folder`."""
        self._folder = str(folder)
        # The pipeline's own runtime, with the same precision, fixed shape and batch size.
        self._classifier = OpenVINOClassifier(bundle)
        self._mode = "L" if bundle.input.channels == 1 else "RGB"
        self._size = (bundle.input.width, bundle.input.height)
        self._shape = bundle.input.shape
        self._pixels = np.empty((_BATCH, *self._shape), dtype=np.uint8)

    def classify(self, names: Sequence[str], target: str) -> None:
        """Write a row for each of the named files into the new SQLite file `target`, in one transaction."""
        with closing(sqlite3.connect(target)) as connection, connection:
            connection.execute(_TABLE)
            for start in range(0, len(names), _BATCH):
                batch = names[start : start + _BATCH]
                for place, name in enumerate(batch):
                    self._pixels[place] = self._decode(f"{self._folder}/{name}")
                scores = self._classifier.predict(self._pixels[: len(batch)]).probabilities
                labels, chances = scores.argmax(axis=1).tolist(), scores.max(axis=1).tolist()
                connection.executemany(_INSERT, zip(batch, labels, chances, strict=True))

    def _decode(self, file: str) -> Any:
        """Return the pixels of a picture, uint8 of the model's shape."""
        with open(file, "rb") as stream:  # noqa: PTH123 - a Path for each image is slow
            data = stream.read()
        if data.startswith(_JPEG):
            # As in the pipeline: the decoder scales down by eighths, to no less than the model's size.
            side = max(self._size)
            pixels = simplejpeg.decode_jpeg(data, "RGB", min_width=side, min_height=side, min_factor=1)
            image = Image.fromarray(pixels)
        else:
            image = Image.open(io.BytesIO(data))
        picture = image if image.mode == self._mode else image.convert(self._mode)
        if picture.size != self._size:
            picture = picture.resize(self._size, Image.Resampling.BILINEAR)
        return np.asarray(picture).reshape(self._shape)


def _labels(folder: Path, name: str, processes: int) -> dict[str, int]:
    """Return the label of each file that the processes wrote in one round."""
    labels: dict[str, int] = {}
    for index in range(processes):
        with closing(sqlite3.connect(folder / f"{name}-{index}.sqlite3")) as connection:
            rows = connection.execute("SELECT file, label FROM predictions").fetchall()
        if labels.keys() & {file for file, _ in rows}:
            raise PipelineError("Two processes wrote a row for the same file.")
        labels.update(rows)
    return labels
