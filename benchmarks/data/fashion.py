"""Small images: the official Fashion-MNIST test set as PNG files."""

import itertools
import shutil
from pathlib import Path

from returns_pipeline.errors import ConfigFault
from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.training.labelled import fashion_mnist

_SAMPLES = PROJECT_ROOT / "samples"


def write_images(folder: Path, count: int) -> str:
    """Write `count` PNG files into `folder`; return a sentence that describes them.

    Beyond its 10,000 test images, images are repeated, each time as a new file. Without Fashion-MNIST the
    shipped samples are repeated.
    """
    folder.mkdir(parents=True)
    try:
        test = fashion_mnist.load("test")
    except ConfigFault as fault:
        samples = sorted(_SAMPLES.glob("image_*_label_*.png"))
        _repeat(samples, folder, count)
        return f"{count:,} copies of the {len(samples)} shipped samples, because: {fault}"
    first = list(fashion_mnist.write_png(test.images[:count], test.labels[:count], folder))
    _repeat(first, folder, count - len(first))
    return f"{count:,} PNG files of the Fashion-MNIST test set" + (
        f", each {count / len(first):.1f} times" if count > len(first) else ""
    )


def _repeat(files: list[Path], folder: Path, count: int) -> None:
    for number, file in enumerate(itertools.islice(itertools.cycle(files), count)):
        shutil.copyfile(file, folder / f"copy_{number}_{file.name}")
