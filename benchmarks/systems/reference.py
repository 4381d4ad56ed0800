"""The reference labels: Keras in float32, in large batches.

Job option: `imaging`, whether the pipeline's decoder makes the pixels, or Pillow alone. Images that must be
scaled down have no other reference than the pipeline's decoder.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from benchmarks.measuring import Job, Measurement
from returns_pipeline.classify.runtimes.registry import load_classifier
from returns_pipeline.photos.decoding import bytes_to_pixels
from returns_pipeline.photos.decoding.bounds import Limits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from returns_pipeline.records.models import ImageInput

#: Maximum pixels of a batch, so that the layers of a large network need only a few GiB.
_BATCH_PIXELS = 64 * 224 * 224
_MAX_IMAGES = 500
#: Two labels whose probabilities differ by less are a tie: another order of float32 sums may swap them.
_TIE = 1e-5
_LIMITS = Limits(max_bytes=2**30, max_pixels=2**30)


def measure(job: Job) -> Measurement:
    """Return Keras' label for every image, and in `detail` how OpenVINO differs on the same pixels.

    `agreement` is the share of images with the same label, `largest_difference` the largest difference of
    two probabilities. `tied` has the second label of each image whose two best labels are a tie.
    """
    import keras

    bundle = job.model()
    model = keras.saving.load_model(bundle.file("model.keras"), compile=False)
    openvino = load_classifier(bundle, "openvino")
    decode = _decode_as_pipeline if job.options.get("imaging") else _decode_with_pillow
    size = min(_MAX_IMAGES, max(1, _BATCH_PIXELS // (bundle.input.width * bundle.input.height)))
    labels: dict[str, int] = {}
    tied: dict[str, int] = {}
    agreed, difference = 0, 0.0
    began = time.perf_counter()
    files = job.files()
    for start in range(0, len(files), size):
        batch = files[start : start + size]
        pixels = np.stack([decode(file, bundle.input) for file in batch])
        scores = model.predict_on_batch(pixels)
        answers = openvino.predict(pixels).probabilities
        best = scores.argmax(axis=1)
        labels.update(zip((file.name for file in batch), best.tolist(), strict=True))
        tied.update(_ties(batch, scores))
        agreed += int((answers.argmax(axis=1) == best).sum())
        difference = max(difference, float(np.abs(answers - scores).max()))
    detail = {"agreement": agreed / len(files), "largest_difference": difference, "tied": tied}
    return Measurement([time.perf_counter() - began], len(labels), labels, detail)


def _ties(files: list[Path], scores: "NDArray[np.float32]") -> dict[str, int]:
    """Return the second label of each image that has a tie in `scores` [n, labels]."""
    order = np.argsort(-scores, axis=1)[:, :2]
    best = np.take_along_axis(scores, order, axis=1)
    tied = np.flatnonzero(best[:, 0] - best[:, 1] < _TIE)
    return {files[place].name: int(order[place, 1]) for place in tied}


def _decode_with_pillow(file: Path, want: "ImageInput") -> "NDArray[np.uint8]":
    """Return the pixels of an image that already has the model's size."""
    mode = "L" if want.channels == 1 else "RGB"
    return np.asarray(Image.open(file).convert(mode)).reshape(want.shape)


def _decode_as_pipeline(file: Path, want: "ImageInput") -> "NDArray[np.uint8]":
    return bytes_to_pixels.decode(file.read_bytes(), want, _LIMITS).pixels
