"""Writes samples/, the photos and the announced returns of `returns-pipeline demo`.

Run `python -m returns_pipeline.training.labelled.make_samples`.
"""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.training.labelled import fashion_mnist

SEED = 2017
COUNT = 300
#: Of so many samples a return is announced.
ANNOUNCED = 40
#: What is announced in place of what the photo shows, by the position of the sample.
_OTHERS = {11: "Dress", 27: "Bag"}
#: The sample that is sent in again, with a return of its own.
_USED_BEFORE = 6


def make_samples(out_dir: Path) -> list[Path]:
    """Write COUNT images of the official test set, three broken files and the manifest; return all paths.

    Every call writes the same bytes. Raises ConfigFault when Fashion-MNIST is not available.
    """
    test = fashion_mnist.load("test")
    chosen = np.sort(np.random.default_rng(SEED).choice(len(test.images), COUNT, replace=False))
    paths = list(fashion_mnist.write_png(test.images, test.labels, out_dir, chosen.tolist()))
    whole = paths[0].read_bytes()
    bad = {
        "empty.png": b"",
        "not_an_image.jpg": b"This file is text, whatever its name says.\n",
        "truncated.png": whole[: len(whole) // 2],
    }
    for name, content in bad.items():
        (out_dir / name).write_bytes(content)
    labels = [fashion_mnist.LABELS[test.labels[index]] for index in chosen]
    return [*paths, *(out_dir / name for name in bad), _write_manifest(out_dir, paths[:ANNOUNCED], labels)]


def _write_manifest(out_dir: Path, photos: Sequence[Path], labels: Sequence[str]) -> Path:
    """Announce a return for each photo, one whose photo was used before, and one that has no photo yet.

    The column `photo` is for the demo: the sample that is photographed for the return.
    """
    rows = [(photo.name, _OTHERS.get(at, labels[at])) for at, photo in enumerate(photos)]
    rows += [rows[_USED_BEFORE], ("", "Coat")]
    path = out_dir / "returns.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(("number", "order", "category", "customer", "photo"))
        for at, (photo, category) in enumerate(rows, 1):
            lines.writerow((f"RMA-{1000 + at}", f"{70300 + 7 * at}", category, f"K-{at % 23 + 1:02}", photo))
    return path


if __name__ == "__main__":
    written = make_samples(PROJECT_ROOT / "samples")
    sys.stdout.write(f"{len(written)} files in {PROJECT_ROOT / 'samples'}\n")
