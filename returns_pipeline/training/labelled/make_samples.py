"""Writes samples/, which `returns-pipeline demo` classifies.

Run `python -m returns_pipeline.training.labelled.make_samples`.
"""

import sys
from pathlib import Path

import numpy as np

from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.training.labelled import fashion_mnist

SEED = 2017
COUNT = 300


def make_samples(out_dir: Path) -> list[Path]:
    """Write COUNT images of the official test set and three broken files; return all paths.

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
    return paths + [out_dir / name for name in bad]


if __name__ == "__main__":
    written = make_samples(PROJECT_ROOT / "samples")
    sys.stdout.write(f"{len(written)} files in {PROJECT_ROOT / 'samples'}\n")
