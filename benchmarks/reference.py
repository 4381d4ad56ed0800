"""The labels that every system must give: Keras on plainly decoded pixels, in large batches."""

import time

import numpy as np
from PIL import Image

from benchmarks.measuring import Job, Measurement, main

_BATCH = 500


def measure(job: Job) -> Measurement:
    """Return the model's label for every image, found without the pipeline's imaging and runtime."""
    import keras

    bundle = job.model()
    model = keras.saving.load_model(bundle.file("model.keras"), compile=False)
    began = time.perf_counter()
    labels: dict[str, int] = {}
    files = job.files()
    mode = "L" if bundle.input.channels == 1 else "RGB"
    for start in range(0, len(files), _BATCH):
        batch = files[start : start + _BATCH]
        pixels = np.stack([np.asarray(Image.open(file).convert(mode)) for file in batch])
        scores = model.predict_on_batch(pixels.reshape(-1, *bundle.input.shape))
        labels.update(zip((file.name for file in batch), scores.argmax(axis=1).tolist(), strict=True))
    return Measurement([time.perf_counter() - began], len(labels), labels)


if __name__ == "__main__":
    main(measure)
