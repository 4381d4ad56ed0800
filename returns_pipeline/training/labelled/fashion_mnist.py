"""Fashion-MNIST: 70,000 grey images of 28 x 28 pixels in ten classes.

Source: Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", arXiv:1708.07747. MIT licence, (c) 2017 Zalando SE.
"""

import gzip
import hashlib
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from returns_pipeline.errors import ConfigFault
from returns_pipeline.report.whole_file import whole_file
from returns_pipeline.training.labelled.parts import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

Split = Literal["train", "test"]

LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SIDE = 28
#: The name and the licence in bundle.json.
SOURCE = {
    "name": "Fashion-MNIST",
    "knows": "grey pictures of clothes, 28 x 28 pixels (Fashion-MNIST)",
    "licence": "MIT, (c) 2017 Zalando SE",
}
COUNTS: dict[Split, int] = {"train": 60_000, "test": 10_000}
DEBIAN_DIR = Path("/usr/share/datasets/fashion-mnist")

_PREFIXES: dict[Split, str] = {"train": "train", "test": "t10k"}
_UNSIGNED_BYTE = 8  # the type code of uint8 in an idx file
_TWO_WAYS = (
    "Run `apt-get install dataset-fashion-mnist` (Debian and Ubuntu), or provide a network connection so "
    "that Keras can download it, or copy the four idx .gz files to {cache}."
)


@dataclass(frozen=True, slots=True)
class Dataset:
    """One split: `images` uint8 [n, 28, 28], 0 is the background; `labels` uint8 [n], indices into LABELS."""

    images: "NDArray[np.uint8]"
    labels: "NDArray[np.uint8]"

    @property
    def fingerprint(self) -> str:
        """sha256 in hex over the bytes of all images, then of all labels."""
        return hashlib.sha256(self.images.tobytes() + self.labels.tobytes()).hexdigest()

    def take(self, indices: "NDArray[np.int64]") -> "Dataset":
        """Return the images at these indices."""
        return Dataset(self.images[indices], self.labels[indices])

    def part(self) -> Part:
        """Return the images as a network takes them: uint8 [n, 28, 28, 1]."""
        return Part(self.images[..., np.newaxis], self.labels.astype(np.int64), self.fingerprint)


def load(split: Split, folder: Path = DEBIAN_DIR) -> Dataset:
    """Return one official split.

    Its two files are read from `folder`, or from Keras' download folder; otherwise Keras downloads them.
    Raises ConfigFault when a file is corrupt or cannot be downloaded.
    """
    for place in (folder, keras_cache()):
        images, labels = _files(place, split)
        if images.is_file() and labels.is_file():
            return _read(split, images, labels)
    return _download(split)


def keras_cache() -> Path:
    """Return the folder of Keras' copy of the files, in KERAS_HOME or ~/.keras."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return Path(home) / "datasets" / "fashion-mnist"


def write_png(
    images: "NDArray[np.uint8]",
    labels: "NDArray[np.uint8]",
    out_dir: Path,
    indices: "Iterable[int] | None" = None,
) -> "Iterator[Path]":
    """Write grey PNG files `image_{i}_label_{label}.png` and yield the path of each.

    `images` uint8 [n, h, w], `labels` uint8 [n]; `i` is the position among all n; `indices` selects some.
    `out_dir` is created if needed; a file with the same name is replaced.
    """
    from PIL import Image

    out_dir.mkdir(parents=True, exist_ok=True)
    for index in range(len(images)) if indices is None else indices:
        path = out_dir / f"image_{index}_label_{labels[index]}.png"
        with whole_file(path) as partial:
            Image.fromarray(images[index]).save(partial, optimize=True)
        yield path


def _files(folder: Path, split: Split) -> tuple[Path, Path]:
    prefix = _PREFIXES[split]
    return folder / f"{prefix}-images-idx3-ubyte.gz", folder / f"{prefix}-labels-idx1-ubyte.gz"


def _read(split: Split, images: Path, labels: Path) -> Dataset:
    count = COUNTS[split]
    dataset = Dataset(_read_idx(images, (count, SIDE, SIDE)), _read_idx(labels, (count,)))
    if dataset.labels.max() >= len(LABELS):
        raise _corrupt(labels, f"a label is {dataset.labels.max()}")
    return dataset


def _read_idx(path: Path, shape: tuple[int, ...]) -> "NDArray[np.uint8]":
    """Return the uint8 array of a gzipped idx file, which must have `shape`.

    The format: two zero bytes, the type, the number of axes, each axis as big-endian uint32, then the values.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise _corrupt(path, str(error)) from error
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, _UNSIGNED_BYTE, len(shape), *shape)
    if not content.startswith(header):
        raise _corrupt(path, f"its header is not that of uint8 {list(shape)}")
    if len(content) != len(header) + int(np.prod(shape)):
        raise _corrupt(path, f"it has {len(content):,} bytes")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def _corrupt(path: Path, detail: str) -> ConfigFault:
    return ConfigFault(
        "{path} is not the Fashion-MNIST file with this name: {detail_text}.",
        advice="Delete it, or reinstall the Debian package dataset-fashion-mnist, and run the command again.",
        path=path,
        detail_text=detail,
    )


def _download(split: Split) -> Dataset:
    """Let Keras download all four files. Raises ConfigFault: no network, a full disk, no Keras."""
    advice = _TWO_WAYS.format(cache=keras_cache())
    try:
        from keras.datasets import fashion_mnist

        train, test = fashion_mnist.load_data()
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise ConfigFault(
            "Fashion-MNIST is not on this machine and cannot be downloaded: {reason}.",
            advice=advice,
            reason=error,
        ) from error
    dataset = Dataset(*(train if split == "train" else test))
    if dataset.images.shape != (COUNTS[split], SIDE, SIDE) or dataset.labels.shape != (COUNTS[split],):
        raise ConfigFault(
            "Keras' Fashion-MNIST has images of shape {shape}.", advice=advice, shape=dataset.images.shape
        )
    return dataset
