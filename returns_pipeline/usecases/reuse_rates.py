"""How often changed photos are found again, and different ones confused: by the code that a night uses."""

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from returns_pipeline.errors import ImageFault
from returns_pipeline.photos.decoding import bytes_to_pixels
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.likeness.thumbnails import thumbnails
from returns_pipeline.records.likeness import ComparedImage
from returns_pipeline.records.models import ImageInput
from returns_pipeline.store import likeness
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import reuse

#: The size that the photos are decoded to, as a model would take them.
_INPUT = ImageInput(240, 240, 3)
_AT_ONCE = 256
_PART = 0.05


class ReuseRates(NamedTuple):
    """The photos found again, 0 to 1, for each change; `same` lists the pairs of the folder itself.

    `copies` counts files that equal another one: they are left out. `false_alarms` counts the photos of the
    folder that are taken for another photo of it.
    """

    photos: int
    unreadable: int
    copies: int
    found: dict[str, float]
    false_alarms: int
    same: list[tuple[str, str, float]]


def _quality_half(photo: Image.Image) -> Image.Image:
    return photo.resize((max(1, photo.width // 2), max(1, photo.height // 2)), Image.Resampling.LANCZOS)


def _cropped(photo: Image.Image) -> Image.Image:
    across, down = round(photo.width * _PART), round(photo.height * _PART)
    return photo.crop((across, down, photo.width - across, photo.height - down))


def _cut_off(photo: Image.Image) -> Image.Image:
    return photo.crop((round(photo.width * _PART), round(photo.height * _PART), photo.width, photo.height))


def _framed(photo: Image.Image, colour: str) -> Image.Image:
    return ImageOps.expand(photo, max(1, round(photo.width * _PART)), colour)


#: Each kind of change, with the quality of the JPEG that is saved after it.
CHANGES: dict[str, tuple[Callable[[Image.Image], Image.Image], int]] = {
    "quality 50, half size": (_quality_half, 50),
    "crop 5 % of each side": (_cropped, 90),
    "crop 5 % of two sides": (_cut_off, 90),
    "brightness +20 %": (lambda photo: ImageEnhance.Brightness(photo).enhance(1.2), 90),
    "brightness -20 %": (lambda photo: ImageEnhance.Brightness(photo).enhance(0.8), 90),
    "white frame": (lambda photo: _framed(photo, "white"), 90),
    "black frame": (lambda photo: _framed(photo, "black"), 90),
    "mirror": (ImageOps.mirror, 90),
    "turn by 90 degrees": (lambda photo: photo.transpose(Image.Transpose.ROTATE_90), 90),
}


def rates(
    paths: Sequence[Path], limits: Limits, changed: int, progress: Callable[[int, int | None], None]
) -> ReuseRates:
    """Compare photos with each other, and changed copies of about `changed` of them with all."""
    different: dict[bytes, Path] = {}
    for path in paths:
        with path.open("rb") as file:
            different.setdefault(hashlib.file_digest(file, "sha256").digest(), path)
    with tempfile.TemporaryDirectory(prefix="returns-reuse-") as folder:
        database = Database(f"sqlite:///{folder}/reuse.sqlite3")
        database.upgrade()
        try:
            found = _rates(database, list(different.values()), limits, changed, progress)
            return found._replace(copies=len(paths) - len(different))
        finally:
            database.close()


def _rates(
    db: Database,
    paths: Sequence[Path],
    limits: Limits,
    changed: int,
    progress: Callable[[int, int | None], None],
) -> ReuseRates:
    chosen = paths[:: max(1, -(-len(paths) // changed))] if changed else paths
    total, done = len(paths) + len(chosen) * len(CHANGES), 0
    stored: list[ComparedImage] = []
    names: dict[int, str] = {}
    for number, thumb in _thumbnails(paths, limits, None):
        stored.append(ComparedImage(number + 1, 0, number + 1, thumb))
        names[number + 1] = str(paths[number])
        done += 1
        progress(done, total)
    for start in range(0, len(stored), _AT_ONCE):
        with db.write() as connection:
            likeness.add(connection, reuse.with_keys(stored[start : start + _AT_ONCE]))
    pairs = {(each.image_id, each.earlier_id): each.distance for each in reuse.near_matches(db, stored, 0)}
    found = {}
    ids = {str(paths[image.image_id - 1]): image.image_id for image in stored}
    known = [path for path in chosen if str(path) in ids]
    for name in CHANGES:
        # The copies have ids above all others, so each match is of a copy with an earlier photo.
        copies = []
        for number, thumb in _thumbnails(known, limits, name):
            copies.append(ComparedImage(len(paths) + 1 + number, 0, 0, thumb))
            done += 1
            progress(done, total)
        of = {len(paths) + 1 + number: ids[str(path)] for number, path in enumerate(known)}
        again = {
            each.image_id
            for each in reuse.near_matches(db, copies, 0)
            if of[each.image_id] == each.earlier_id
        }
        found[name] = round(len(again) / max(1, len(known)), 4)
    same = [(names[one], names[two], round(far, 3)) for (one, two), far in sorted(pairs.items())]
    return ReuseRates(len(stored), len(paths) - len(stored), 0, found, len({one for one, _ in pairs}), same)


def _thumbnails(paths: Sequence[Path], limits: Limits, change: str | None) -> Iterator[tuple[int, bytes]]:
    """Yield (position, thumbnail) of each photo that can be decoded, after a change."""
    for number, path in enumerate(paths):
        try:
            data = path.read_bytes()
            if change is not None:
                data = _changed(data, change)
            pixels = bytes_to_pixels.decode(data, _INPUT, limits).pixels
        except (ImageFault, OSError):
            continue
        yield number, thumbnails(np.asarray(pixels)[None])[0].tobytes()


def _changed(data: bytes, change: str) -> bytes:
    edit, quality = CHANGES[change]
    with Image.open(io.BytesIO(data)) as photo:
        upright = ImageOps.exif_transpose(photo).convert("RGB")
    saved = io.BytesIO()
    edit(upright).save(saved, "JPEG", quality=quality)
    return saved.getvalue()
