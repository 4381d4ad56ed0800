"""Photos: a folder tree of real ones, or drawn JPEGs with about the decoding cost of a photo."""

import itertools
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from returns_pipeline.errors import ConfigFault

_QUALITY = 90
_BLOBS = 12
#: Pixels of the drawing's longer side before it is enlarged, because a photo is smooth except for noise.
_COARSE = 200
#: Standard deviation; gives files of the size of product photos, 30 kB with 400x533 pixels.
_NOISE = 3.0


def find_photos(tree: Path, count: int | None) -> list[Path]:
    """Return the .jpg files below `tree`, at most `count`. Raises ConfigFault if there is none."""
    photos = sorted(tree.rglob("*.jpg"))
    if not photos:
        raise ConfigFault(f"There is no .jpg file in {tree}.", "Name a folder of photos with --photos.")
    if count is None or count >= len(photos):
        return photos
    # Spread over the tree, because the first files by name may all be of one kind.
    return [photos[number * len(photos) // count] for number in range(count)]


def copy_photos(tree: Path, folder: Path, count: int | None) -> int:
    """Copy the .jpg files below `tree` into the new flat `folder`, at most `count`; return how many.

    Raises ConfigFault if there is none.
    """
    photos = find_photos(tree, count)
    folder.mkdir(parents=True)
    for number, photo in enumerate(photos):
        shutil.copyfile(photo, folder / f"{number:06}_{photo.name}")
    return len(photos)


def draw_photos(folder: Path, count: int, size: tuple[int, int], distinct: int) -> str:
    """Write `count` JPEGs of `size` (width, height) into the new `folder`; return a sentence about them.

    At most `distinct` are drawn; the others are copies. The same number always gives the same image.
    """
    folder.mkdir(parents=True)
    distinct = min(distinct, count)
    drawn = [folder / f"drawn_{number:06}.jpg" for number in range(distinct)]
    for number, file in enumerate(drawn):
        _draw(number, size).save(file, quality=_QUALITY)
    for number, file in enumerate(itertools.islice(itertools.cycle(drawn), count - distinct)):
        shutil.copyfile(file, folder / f"copy_{number:06}_{file.name}")
    copies = f", {distinct:,} of them different" if distinct < count else ""
    return f"{count:,} drawn JPEGs of {size[0]}x{size[1]}, no photos{copies}"


def _draw(seed: int, size: tuple[int, int]) -> Image.Image:
    """Return an enlarged gradient with soft blobs, and noise like that of a camera."""
    random = np.random.default_rng(seed)
    scale = _COARSE / max(size)
    width, height = (max(1, round(side * scale)) for side in size)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    corners = random.uniform(40, 215, (3, 3))
    picture = corners[0] + (corners[1] - corners[0]) * (x / width)[..., None]
    picture += (corners[2] - corners[0]) * (y / height)[..., None]
    for _ in range(_BLOBS):
        middle_x, middle_y = random.uniform(0, width), random.uniform(0, height)
        radius = random.uniform(0.05, 0.3) * _COARSE
        # A steep edge, as objects have, but not a hard step.
        distance = np.hypot(x - middle_x, (y - middle_y) * random.uniform(0.5, 2))
        weight = 1 / (1 + np.exp(np.minimum((distance - radius) / 1.5, 50)))
        picture += (random.uniform(0, 255, 3) - picture) * weight[..., None]
    smooth = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    noise = random.normal(0, _NOISE, (min(size[1], 512), min(size[0], 512), 1)).astype(np.int16)
    times = (-(-size[1] // noise.shape[0]), -(-size[0] // noise.shape[1]), 1)
    noisy = np.asarray(smooth).astype(np.int16) + np.tile(noise, times)[: size[1], : size[0]]
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
