"""`python -m benchmarks.decoding FOLDER`: ways to decode photos to the pixels of a model, one core each.

Every photo is decoded by each way in turn, so that another load of the machine changes all of them alike. The
least CPU time of each photo counts. Pixels are compared with those of the whole picture, resized by Pillow.
"""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import simplejpeg
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.data.photos import find_photos
from returns_pipeline.photos.decoding import bytes_to_pixels
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.records.models import ImageInput
from returns_pipeline.settings import load_settings

Pixels = NDArray[np.uint8]
_BILINEAR, _BOX = Image.Resampling.BILINEAR, Image.Resampling.BOX


def _ways(side: int) -> dict[str, Callable[[bytes], Pixels]]:
    """Return the ways by name; each returns uint8 [side, side, 3]."""
    want, limits = ImageInput(side, side, 3), Limits.of(load_settings())

    def resized(image: Image.Image, by: Image.Resampling = _BILINEAR) -> Pixels:
        return np.asarray(image.resize((side, side), by))

    def by_pillow(data: bytes, least: int = 0) -> Image.Image:
        image = Image.open(io.BytesIO(data))
        if least:
            image.draft(None, (least, least))
        return image.convert("RGB")

    def by_simplejpeg(data: bytes, least: int = 0) -> Image.Image:
        pixels = simplejpeg.decode_jpeg(data, "RGB", min_width=least, min_height=least, min_factor=1)
        return Image.fromarray(pixels)

    return {
        "Pillow, whole": lambda data: resized(by_pillow(data)),
        "Pillow, scaled by halves to 1.5 times the size": lambda data: resized(
            by_pillow(data, 3 * side // 2)
        ),
        "Pillow, whole, box filter": lambda data: resized(by_pillow(data), _BOX),
        "simplejpeg, whole": lambda data: resized(by_simplejpeg(data)),
        "simplejpeg, scaled by eighths": lambda data: resized(by_simplejpeg(data, side)),
        "the pipeline, checks included": lambda data: bytes_to_pixels.decode(data, want, limits).pixels,
    }


def decoding(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder tree of .jpg photos.")],
    side: Annotated[int, typer.Option(min=16, help="Width and height of the model's input.")] = 240,
    photos: Annotated[int, typer.Option(min=1, help="Photos, spread over the folder.")] = 50,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each photo is decoded.")] = 8,
) -> None:
    """Measure ways to decode photos."""
    contents = [path.read_bytes() for path in find_photos(folder, photos)]
    ways = _ways(side)
    least = {name: np.full(len(contents), np.inf) for name in ways}
    for _ in range(rounds):
        for number, data in enumerate(contents):
            for name, way in ways.items():
                began = time.thread_time()
                way(data)
                least[name][number] = min(least[name][number], time.thread_time() - began)
    whole = np.stack([next(iter(ways.values()))(data) for data in contents]).astype(np.float32)
    console = Console(highlight=False)
    console.print(machine.as_line(machine.describe()))
    table = Table("way", "ms for a photo", "pixels differ by (root mean square, of 255)")
    for name, way in ways.items():
        difference = np.sqrt(np.square(np.stack([way(data) for data in contents]) - whole).mean())
        table.add_row(name, f"{1000 * least[name].mean():.2f}", f"{difference:.1f}")
    console.print(table)


if __name__ == "__main__":
    typer.run(decoding)
