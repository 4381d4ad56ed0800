"""How much better several photos of one return are than one.

`python -m benchmarks.photos_per_return MODEL DATA`. DATA is a folder of labelled photos, with one photo of
each item. So several photos of an item are simulated in two ways, and real ones are between both:

- others: photos of other items with the same label, as if each photo were independent evidence;
- variants: the photo mirrored, and its middle 85 %, so most of its faults are in each of them.

The thresholds are those of the bundle, measured on single photos.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.classify.confidence import tempered
from returns_pipeline.classify.runtimes.registry import load_classifier
from returns_pipeline.photos.decoding.batches import Decoder
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.records.images import PendingImage
from returns_pipeline.settings import load_settings
from returns_pipeline.training.evaluation import verdicts
from returns_pipeline.training.evaluation.photo_predictions import find_labelled_photos
from returns_pipeline.verdicts.fusing import fuse
from returns_pipeline.verdicts.thresholds import choose

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CORRELATIONS = (0.0, 0.5, 1.0)
_MOST_PHOTOS = 3
#: How often other photos of the same label are drawn.
_DRAWS = 20
_MIDDLE = 0.85


def variants(pixels: "NDArray[np.uint8]") -> "list[NDArray[np.uint8]]":
    """Return a batch, uint8 [n, h, w, c], as it is, mirrored, and its middle enlarged to the same size."""
    height, width = pixels.shape[1:3]
    top, left = round(height * (1 - _MIDDLE) / 2), round(width * (1 - _MIDDLE) / 2)
    box = (left, top, width - left, height - top)
    middle = np.zeros_like(pixels)
    for index, photo in enumerate(pixels):
        squeezed = Image.fromarray(photo.squeeze()).resize((width, height), box=box)
        middle[index] = np.asarray(squeezed).reshape(photo.shape)
    return [pixels, np.ascontiguousarray(pixels[:, :, ::-1]), middle]


def main(model: str, data: str) -> None:
    """Print a row for each number of photos, each way and each correlation."""
    settings = load_settings()
    bundle = find_bundle(settings.models_dir, model)
    photos = find_labelled_photos(Path(data).absolute(), bundle, None, None)
    classifier = load_classifier(bundle, settings.runtime, threads=len(os.sched_getaffinity(0)), mixed=False)
    source = FolderSource()
    decoder = Decoder(source, bundle.input, Limits.of(settings), settings.image_seconds)
    described = [source.describe(path) for path in photos.paths]
    images = [PendingImage(i, file.path, file.size, file.identity) for i, file in enumerate(described)]
    rows: list[list[NDArray[np.float32]]] = [[] for _ in range(_MOST_PHOTOS)]
    indices: list[int] = []
    for batch in decoder.batches(images, classifier.batch, settings.decode_threads, lambda: None):
        indices += [image.id for image in batch.images]
        for kept, varied in zip(rows, variants(batch.pixels), strict=True):
            kept.append(classifier.predict(varied).probabilities.copy())
    truth = photos.truth[indices]
    predicted = np.stack([tempered(np.concatenate(kept), bundle.temperature) for kept in rows])
    chosen = choose(bundle.label_rates, len(bundle.labels), settings.false_alarms)
    draw = np.random.default_rng(0)
    print("photos   of         correlation  false alarms   found  unsure")
    for count in range(1, _MOST_PHOTOS + 1):
        for way in ("variants", "others") if count > 1 else ("itself",):
            for correlation in _CORRELATIONS if count > 1 else (0.0,):
                sums = np.zeros(3)
                draws = _DRAWS if way == "others" else 1
                for _ in range(draws):
                    stacked = predicted[:count]
                    if way == "others":
                        others = [predicted[0][_others(truth, draw)] for _ in range(count - 1)]
                        stacked = np.stack([predicted[0], *others])
                    fused = np.stack([fuse(stacked[:, item], correlation) for item in range(len(truth))])
                    found = verdicts.outcome_of_every_swap(truth, verdicts.judge_every_swap(fused, chosen))
                    shares = (found.false_alarms, found.found, found.unsure_right)
                    sums += [share.value or 0 for share in shares]
                alarms, wrong, unsure = sums / draws
                row = f"{count:<8} {way:10} {correlation:>11} {alarms:>13.1%} {wrong:>7.1%} {unsure:>7.1%}"
                print(row)


def _others(truth: "NDArray[np.int64]", draw: np.random.Generator) -> "NDArray[np.int64]":
    """Return for each photo another one of the same label, or itself if it is the only one: int64 [n]."""
    partner = np.empty(len(truth), np.int64)
    for label in np.unique(truth):
        same = draw.permutation(np.flatnonzero(truth == label))
        partner[same] = np.roll(same, 1)
    return partner


if __name__ == "__main__":
    main(*sys.argv[1:])
