"""The model for photos: MobileNetV2 with random weights, as a real bundle, made in a process of its own.

Its predictions have no meaning, but it costs as much as a trained one. Its labels are spread over all
classes, so that wrong pixels give wrong labels.
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
from returns_pipeline.photos.decoding import bytes_to_pixels
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.records.models import ImageInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "mobilenet-v2"
INPUT = ImageInput(224, 224, 3)
_CLASSES = 10
_SEED = 7
#: Photos that set the statistics of the network's normalisation and its head.
STATISTICS_PHOTOS, _SMALL_STATISTICS_PHOTOS = 64, 16
#: The last layer of the small network's features.
_SMALL_END = "block_2_add"
_DRAWN_SIZE = (400, 533)
#: Scale of the head's weights; gives a best probability of about a half.
_GAIN = 1.0
_LIMITS = Limits(max_bytes=2**30, max_pixels=2**30)


def get_bundle(photos: list[Path] | None, models: Path, work: Path, *, small: bool) -> Bundle:
    """Return the bundle for these photos, or for drawn ones, from the cache `models` or newly made.

    `work` is an empty folder. A `small` network, for tiny runs, has only the first blocks of
    MobileNetV2. Raises PipelineError with the end of the log if the bundle cannot be made.
    """
    if photos is None:
        count = _SMALL_STATISTICS_PHOTOS if small else STATISTICS_PHOTOS
        draw_photos(work / "photos", count, _DRAWN_SIZE, count)
        photos = sorted((work / "photos").iterdir())
    # The same photos and the same version of this file make the same model.
    key = hashlib.sha256(Path(__file__).read_bytes() + str(small).encode())
    for photo in photos:
        key.update(file_sha256(photo).encode())
    folder = models / key.hexdigest()[:16]
    if not (folder / NAME / "1" / MANIFEST).exists():
        size = "small" if small else "whole"
        command = [sys.executable, "-m", "benchmarks.mobilenet", str(folder), size, *map(str, photos)]
        log = work / "log.txt"
        with log.open("wb") as output, started(command, output) as process:
            process.wait()
        if process.returncode:
            raise PipelineError(f"The model for photos cannot be made: {end_of(log)}")
    return find_bundle(folder, f"{NAME}/1")


def pixels_of(photos: list[Path]) -> "NDArray[np.uint8]":
    """Return the photos as the pipeline decodes them: uint8 [n, 224, 224, 3]."""
    return np.stack([bytes_to_pixels.decode(photo.read_bytes(), INPUT, _LIMITS).pixels for photo in photos])


def make_model(pixels: "NDArray[np.uint8]", *, small: bool) -> Any:
    """Return the Keras model: uint8 [n, 224, 224, 3] in, float32 probabilities [n, 10] out."""
    import keras

    keras.utils.set_random_seed(_SEED)
    network = keras.applications.MobileNetV2(weights=None, classes=_CLASSES)
    if small:
        pooled = keras.layers.GlobalAveragePooling2D()(network.get_layer(_SMALL_END).output)
        probabilities = keras.layers.Dense(_CLASSES, activation="softmax")(pooled)
        network = keras.Model(network.input, probabilities)
    scaled = pixels.astype(np.float32) / 127.5 - 1
    _set_statistics(network, scaled)
    head = network.layers[-1]
    features = keras.Model(network.input, network.layers[-2].output).predict(scaled, verbose=0)
    head.set_weights(_head(features))
    inputs = keras.Input(INPUT.shape, dtype="uint8", name="pixels")
    return keras.Model(
        inputs, network(keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)), name="mobilenet"
    )


def _set_statistics(network: Any, scaled: "NDArray[np.float32]") -> None:
    """Set the statistics of batch normalisation from these photos; else all features would be alike."""
    import keras

    layers = [each for each in network.layers if isinstance(each, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    network(scaled, training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def _head(features: "NDArray[np.float32]") -> list["NDArray[np.float32]"]:
    """Return weights [d, 10] and biases [10] that spread the labels over the classes.

    The weights are the strongest principal components of `features` [n, d], whitened and randomly rotated.
    """
    random = np.random.default_rng(_SEED)
    centre = features.mean(axis=0)
    _, strengths, axes = np.linalg.svd(features - centre, full_matrices=False)
    kept = min(_CLASSES, int((strengths > strengths[0] * 1e-3).sum()))
    whitened = axes[:kept].T / strengths[:kept] * np.sqrt(len(features))
    rotation, _ = np.linalg.qr(random.normal(size=(_CLASSES, _CLASSES)))
    weights = (whitened @ rotation[:kept] * _GAIN).astype(np.float32)
    return [weights, (-centre @ weights).astype(np.float32)]


def make_bundle(models: Path, photos: list[Path], *, small: bool) -> None:
    """Make the model and publish it atomically as MODELS/mobilenet-v2/1."""
    from returns_pipeline.classify import publishing
    from returns_pipeline.training.pipeline import export

    pixels = pixels_of(photos)
    with publishing.draft_folder(models) as folder:
        model = make_model(pixels, small=small)
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
    make_bundle(Path(sys.argv[1]), [Path(name) for name in sys.argv[3:]], small=sys.argv[2] == "small")
