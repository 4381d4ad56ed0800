"""The nearest peer: one process, Keras' own folder reader, large batches, one insert.

It has no queue and no archive. An interruption loses everything, and the first file that is not an image
ends it. This is the minimum cost of the same predictions with Keras alone.
"""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.measuring import Job, Measurement, link, require_rows
from returns_pipeline.records.models import ImageInput

#: Default images of a batch. The job option `batch` sets fewer for large images.
_BATCH = 512
_TABLE = "CREATE TABLE predictions (file TEXT PRIMARY KEY, label INTEGER NOT NULL, probability REAL NOT NULL)"
_INSERT = "INSERT INTO predictions VALUES (?, ?, ?)"


def measure(job: Job) -> Measurement:
    """Classify the folder `job.rounds` times. Importing TensorFlow and loading the model are not timed.

    Reads every file of `job.images`, so the folder must have `job.count` files.
    """
    import keras

    batch = job.options.get("batch", _BATCH)
    bundle = job.model()
    model = keras.saving.load_model(bundle.file("model.keras"), compile=False)
    # A whole batch and a partial one: the two shapes that TensorFlow compiles for.
    link(job.files(batch + 1), job.work / "warm")
    _classify(model, bundle.input, job.work / "warm", job.work / "warm.sqlite3", batch)
    seconds = []
    for number in range(job.rounds):
        target = job.work / f"{number}.sqlite3"
        began = time.perf_counter()
        _classify(model, bundle.input, job.images, target, batch)
        seconds.append(time.perf_counter() - began)
    labels = _labels(target)
    require_rows(labels, job)
    return Measurement(seconds, len(labels), labels, {"batch": batch})


def _classify(model: Any, size: ImageInput, folder: Path, target: Path, batch: int) -> None:
    """Read, predict and write every image of `folder` into the new SQLite file `target`."""
    import keras

    dataset = keras.utils.image_dataset_from_directory(
        folder,
        labels=None,
        color_mode="grayscale" if size.channels == 1 else "rgb",
        image_size=(size.height, size.width),
        batch_size=batch,
        shuffle=False,
        verbose=False,
    )
    scores = model.predict(dataset, verbose=0)
    names = [Path(path).name for path in dataset.file_paths]
    rows = zip(names, scores.argmax(axis=1).tolist(), scores.max(axis=1).tolist(), strict=True)
    with closing(sqlite3.connect(target)) as connection, connection:
        connection.execute(_TABLE)
        connection.executemany(_INSERT, rows)


def _labels(source: Path) -> dict[str, int]:
    with closing(sqlite3.connect(source)) as connection:
        return dict(connection.execute("SELECT file, label FROM predictions"))
