"""The design that this pipeline replaces: a Flask endpoint for one image at a time, and a waiting client.

Run as a program, this module is the server.
"""

import base64
import binascii
import io
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import requests
from PIL import Image, UnidentifiedImageError

from benchmarks.measuring import Job, Measurement, started
from returns_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import Popen

    from flask import Flask
    from werkzeug.serving import BaseWSGIServer

_START_SECONDS = 120
_WARM_REQUESTS = 5
_TIMEOUT_SECONDS = 60


def measure(job: Job) -> Measurement:
    """Post the images one by one to a server that has loaded its model, `job.rounds` times."""
    files = job.files()
    # A session keeps the connection open, so that the client is not the bottleneck.
    with _server(job) as url, requests.Session() as session:
        _post_all(session, url, files[:_WARM_REQUESTS])
        seconds = []
        for _ in range(job.rounds):
            began = time.perf_counter()
            labels = _post_all(session, url, files)
            seconds.append(time.perf_counter() - began)
    return Measurement(seconds, len(labels), labels)


@contextmanager
def _server(job: Job) -> "Iterator[str]":
    """Run the server in a process of its own, or in a thread of a tiny run; yield its URL."""
    if job.is_tiny:  # importing TensorFlow takes 4 s of CPU, and this process has done so
        server = make_server(job.bundle)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield url_of(server)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
        return
    address = job.work / "address.txt"
    command = [sys.executable, "-m", "benchmarks.systems.http_flask", str(job.bundle), str(address)]
    with (job.work / "server.txt").open("wb") as log, started(command, log) as process:
        yield _wait(process, address)


def _wait(process: "Popen[bytes]", address: Path) -> str:
    """Return the URL that the server writes to `address`. Raises PipelineError if it does not start."""
    deadline = time.monotonic() + _START_SECONDS
    while not address.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            log = address.with_name("server.txt").read_text(encoding="utf-8", errors="replace")
            raise PipelineError(f"The Flask server did not start: {log[-2000:]}")
        time.sleep(0.05)
    return address.read_text(encoding="utf-8")


def _post_all(session: requests.Session, url: str, files: list[Path]) -> dict[str, int]:
    """Post the files one by one; return label index by file name."""
    labels = {}
    for file in files:
        image = base64.b64encode(file.read_bytes()).decode("ascii")
        answer = session.post(url, json={"image": image}, timeout=_TIMEOUT_SECONDS)
        answer.raise_for_status()
        labels[file.name] = int(answer.json()["prediction"])
    return labels


def make_app(model: Any, labels: tuple[str, ...], shape: tuple[int, int, int]) -> "Flask":
    """Return the app: POST /predict {"image": base64} gives {"prediction", "label", "probability"}."""
    from flask import Flask, Response, jsonify, request

    app = Flask(__name__)
    height, width, channels = shape

    @app.post("/predict")
    def predict() -> Response | tuple[Response, int]:
        try:
            data = base64.b64decode(request.get_json()["image"], validate=True)
            image = Image.open(io.BytesIO(data)).convert("L" if channels == 1 else "RGB")
        except (KeyError, TypeError, binascii.Error, UnidentifiedImageError):
            return jsonify(error="not a base64 image"), 400
        pixels = np.asarray(image.resize((width, height))).reshape(1, *shape)
        scores = model.predict(pixels, verbose=0)[0]
        best = int(scores.argmax())
        return jsonify(prediction=best, label=labels[best], probability=float(scores[best]))

    return app


def make_server(folder: Path) -> "BaseWSGIServer":
    """Load the model of the bundle in `folder`; return a server on a free port of the loopback address."""
    import logging

    import keras
    from werkzeug import serving

    from returns_pipeline.classify.bundle import load_bundle

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # its line for each request would be measured too
    bundle = load_bundle(folder)
    model = keras.saving.load_model(bundle.file("model.keras"), compile=False)
    app = make_app(model, bundle.labels, bundle.input.shape)
    return serving.make_server("127.0.0.1", 0, app, threaded=True)


def url_of(server: "BaseWSGIServer") -> str:
    """Return the URL of a server's predictions."""
    return f"http://127.0.0.1:{server.server_port}/predict"


def serve(folder: Path, address: Path) -> None:
    """Serve the model of the bundle in `folder`; write the URL to `address`."""
    server = make_server(folder)
    partial = address.with_suffix(".part")
    partial.write_text(url_of(server), encoding="utf-8")
    partial.rename(address)
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
