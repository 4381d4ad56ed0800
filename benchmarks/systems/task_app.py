"""A Celery app as in the tutorials: one task an image, the model loaded on a process's first task."""

import os
import sqlite3
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from celery import Celery
from PIL import Image

if TYPE_CHECKING:
    from returns_pipeline.classify.bundle import Bundle

#: Environment variables with the addresses that the worker needs.
BROKER, BUNDLE, DATABASE = "BENCH_BROKER", "BENCH_BUNDLE", "BENCH_DATABASE"

TABLE = "CREATE TABLE predictions (file TEXT, label INTEGER NOT NULL, probability REAL NOT NULL)"
_INSERT = "INSERT INTO predictions VALUES (?, ?, ?)"
_BUSY_SECONDS = 60


def make_app(broker: str) -> Celery:
    """Return the app with Celery's defaults; results go to the same Redis."""
    app = Celery("one_task_an_image", broker=broker, backend=broker)
    app.conf.broker_connection_retry_on_startup = True
    return app


app = make_app(os.environ.get(BROKER, ""))


@app.task(name="classify")
def classify(path: str) -> tuple[int, int]:
    """Classify one image and commit its row; return the label's index and the process's id."""
    bundle, model = _model()
    height, width, channels = bundle.input.shape
    image = Image.open(path).convert("L" if channels == 1 else "RGB").resize((width, height))
    scores = model.predict(np.asarray(image).reshape(1, height, width, channels), verbose=0)[0]
    label = int(scores.argmax())
    connection = _database()
    with connection:
        connection.execute(_INSERT, (Path(path).name, label, float(scores[label])))
    return label, os.getpid()


@cache
def _model() -> "tuple[Bundle, Any]":
    """Load the model, once in each process: TensorFlow must not be used before the fork."""
    import keras

    from returns_pipeline.classify.bundle import load_bundle

    bundle = load_bundle(Path(os.environ[BUNDLE]))
    return bundle, keras.saving.load_model(bundle.file("model.keras"), compile=False)


@cache
def _database() -> sqlite3.Connection:
    return sqlite3.connect(os.environ[DATABASE], timeout=_BUSY_SECONDS)
