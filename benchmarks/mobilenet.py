"""The model for photos: MobileNetV2 with random weights, as a real bundle, made in a process of its own.

What it answers means nothing; what it costs is what a trained one costs. Its labels are spread over all
classes, so that wrong pixels show as wrong labels.
"""

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.data.photos import draw_photos
from benchmarks.measuring import end_of, started
from returns_pipeline.classify.bundle import MANIFEST, Bundle, file_sha256, find_bundle
from returns_pipeline.errors import PipelineError
from returns_pipeline.photos import imaging
from returns_pipeline.records.models import ImageInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "mobilenet-v2"
INPUT = ImageInput(224, 224, 3)
_CLASSES = 10
_SEED = 7
#: How many photos set the statistics inside the network and its head.
LOOKED_AT = 64
_DRAWN_SIZE = (400, 533)
#: How steep the head is: a best probability of about a half.
_GAIN = 1.0
_LIMITS = imaging.Limits(max_bytes=2**30, max_pixels=2**30)


def get_bundle(photos: list[Path] | None, models: Path, work: Path) -> Bundle:
    """Return the bundle for these photos, or for drawn ones; made now unless `models` has it already.

    `work` is an empty folder. Raises PipelineError with the end of the log when it cannot be made.
    """
    if photos is None:
        draw_photos(work / "photos", LOOKED_AT, _DRAWN_SIZE, LOOKED_AT)
        photos = sorted((work / "photos").iterdir())
    # The same photos and the same lines of this file make the same model.
    key = hashlib.sha256(Path(__file__).read_bytes())
    for photo in photos:
        key.update(file_sha256(photo).encode())
    folder = models / key.hexdigest()[:16]
    if not (folder / NAME / "1" / MANIFEST).exists():
        command = [sys.executable, "-m", "benchmarks.mobilenet", str(folder), *map(str, photos)]
        log = work / "log.txt"
        with log.open("wb") as output, started(command, output) as process:
            process.wait()
        if process.returncode:
            raise PipelineError(f"The model for photos cannot be made: {end_of(log)}")
    return find_bundle(folder, f"{NAME}/1")


def pixels_of(photos: list[Path]) -> "NDArray[np.uint8]":
    """Return the photos as the pipeline's workers decode them: uint8 [n, 224, 224, 3]."""
    return np.stack([imaging.decode(photo.read_bytes(), INPUT, _LIMITS).pixels for photo in photos])


def make_model(pixels: "NDArray[np.uint8]") -> Any:
    """Return the Keras model: uint8 [n, 224, 224, 3] in, float32 probabilities [n, 10] out."""
    import keras

    keras.utils.set_random_seed(_SEED)
    network = keras.applications.MobileNetV2(weights=None, classes=_CLASSES)
    scaled = pixels.astype(np.float32) / 127.5 - 1
    _settle(network, scaled)
    head = network.layers[-1]
    features = keras.Model(network.input, network.layers[-2].output).predict(scaled, verbose=0)
    head.set_weights(_head(features))
    inputs = keras.Input(INPUT.shape, dtype="uint8", name="pixels")
    return keras.Model(
        inputs, network(keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)), name="mobilenet"
    )


def _settle(network: Any, scaled: "NDArray[np.float32]") -> None:
    """Set the statistics of batch normalisation by these photos: untrained, all photos look alike."""
    import keras

    layers = [each for each in network.layers if isinstance(each, keras.layers.BatchNormalization)]
    usual = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    network(scaled, training=True)
    for layer, momentum in zip(layers, usual, strict=True):
        layer.momentum = momentum


def _head(features: "NDArray[np.float32]") -> list["NDArray[np.float32]"]:
    """Return weights [d, 10] and biases [10] that spread the labels: orthogonal axes of whitened features.

    The axes are the strongest principal components, turned at random.
    """
    random = np.random.default_rng(_SEED)
    centre = features.mean(axis=0)
    _, strengths, axes = np.linalg.svd(features - centre, full_matrices=False)
    kept = min(_CLASSES, int((strengths > strengths[0] * 1e-3).sum()))
    whitened = axes[:kept].T / strengths[:kept] * np.sqrt(len(features))
    turned, _ = np.linalg.qr(random.normal(size=(_CLASSES, _CLASSES)))
    weights = (whitened @ turned[:kept] * _GAIN).astype(np.float32)
    return [weights, (-centre @ weights).astype(np.float32)]


def make_bundle(models: Path, photos: list[Path]) -> None:
    """Make the model and publish it as MODELS/mobilenet-v2/1, whole or not at all."""
    from returns_pipeline.classify import publishing
    from returns_pipeline.training.pipeline import export

    pixels = pixels_of(photos)
    with publishing.draft_folder(models) as folder:
        model = make_model(pixels)
        labels = tuple(f"class {number}" for number in range(_CLASSES))
        bundle = Bundle(
            folder=folder,
            name=NAME,
            version=0,
            labels=labels,
            main_categories=labels,
            input=INPUT,
            sha256=export.write_model(model, folder),
            recipe="benchmark",
            command="python -m benchmarks.mobilenet",
        )
        export.verify(bundle, pixels, model.predict(pixels, verbose=0))
        publishing.publish(bundle, models)


if __name__ == "__main__":
    make_bundle(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
