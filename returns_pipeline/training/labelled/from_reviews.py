"""Writes the photos that people reviewed as class folders: what a training learns from and is judged by.

OUT/reviewed/LABEL/12.jpg        photos of the queue and corrections
OUT/audit/LABEL/13.jpg           the random sample of sure predictions: it judges, and trains nothing
OUT/none of these/14.jpg         things that no label fits
OUT/mains.csv                    sub,main: the main category of each label, if the labels have them
OUT/reviews.csv                  a line for each written photo
OUT/conflicts.csv                images with one content whose reviews disagree; written nowhere else
OUT/left-out.csv                 photos that cannot be written, with the reason
"""

import csv
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from returns_pipeline.errors import ConflictError, NotFoundError, RefusedError
from returns_pipeline.private_files import make_folder
from returns_pipeline.records.images import ImageFile
from returns_pipeline.records.reviewed_photos import ReviewedPhoto
from returns_pipeline.records.reviews import ReviewKind, ReviewOutcome
from returns_pipeline.records.text import iso
from returns_pipeline.report.csv_table import as_text
from returns_pipeline.report.whole_file import whole_file
from returns_pipeline.store import reviewed_photos
from returns_pipeline.training.labelled.written_folders import Folders
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.originals import open_original

#: Where the photos are that a training learns from, and those that judge it.
REVIEWED, AUDIT = "reviewed", "audit"
NONE_OF_THESE, MAINS = "none of these", "mains.csv"

_HEADERS = {
    "reviews.csv": ("file", "image", "label", "main_label", "reviewer", "reviewed_at", "sha256"),
    "conflicts.csv": ("image", "sha256", "words"),
    "left-out.csv": ("image", "reason"),
}


class Written(NamedTuple):
    """Numbers of photos. `other` are reviews that name no category: unreadable, another photo wanted."""

    reviewed: int
    audit: int
    none_of_these: int
    conflicts: int
    left_out: int
    other: int


def write(
    context: Context,
    out: Path,
    on_progress: Callable[[int], None] = lambda _: None,
    model: str | None = None,
) -> Written:
    """Write the reviewed photos to `out`, which is new or empty. Calls `on_progress` with the photos so far.

    With the name of a `model`, only photos of its runs.

    Files are hard links where the file system allows it, else copies. A photo that several images have is
    written once; if their reviews disagree, it is a conflict. Raises RefusedError if `out` has files.
    """
    if out.is_dir() and any(out.iterdir()):
        raise RefusedError("The folder {out} is not empty.", "Choose a new folder.", out=out)
    make_folder(out)
    photos = list(reviewed_photos.reviewed(context.db, model))
    words = _words_by_content(photos)
    audited = {_content(photo) for photo in photos if photo.kind == ReviewKind.AUDIT}
    writer = _Writer(context, out)
    for number, photo in enumerate(photos, start=1):
        part = AUDIT if _content(photo) in audited else REVIEWED
        writer.take(photo, part, words[_content(photo)])
        on_progress(number)
    return writer.finish()


def _content(photo: ReviewedPhoto) -> str:
    return photo.sha256 or f"image {photo.image_id}"


def _words_by_content(photos: Iterable[ReviewedPhoto]) -> dict[str, tuple[str, ...]]:
    """Return the different words on each content, sorted."""
    words: dict[str, set[str]] = defaultdict(set)
    for photo in photos:
        words[_content(photo)].add(photo.label or photo.outcome)
    return {content: tuple(sorted(each)) for content, each in words.items()}


class _Writer:
    """Writes photo after photo, and keeps the lines of the lists."""

    def __init__(self, context: Context, out: Path) -> None:
        self._context, self._out = context, out
        self._folders = Folders([])
        self._mains: dict[str, set[str]] = defaultdict(set)
        self._lines: dict[str, list[tuple[object, ...]]] = {name: [] for name in _HEADERS}
        self._seen: set[str] = set()
        self._counts: dict[str, int] = defaultdict(int)

    def take(self, photo: ReviewedPhoto, part: str, words: tuple[str, ...]) -> None:
        """Write one photo below `part`, or note why not. `words` are all on its content."""
        if len(words) > 1:
            self._lines["conflicts.csv"].append((photo.image_id, photo.sha256, " | ".join(words)))
        elif photo.outcome not in {ReviewOutcome.LABEL, ReviewOutcome.NONE_OF_THESE}:
            self._counts["other"] += 1
        elif _content(photo) not in self._seen:
            self._seen.add(_content(photo))
            try:
                self._write(photo, part if photo.label is not None else NONE_OF_THESE)
            except (NotFoundError, ConflictError) as error:
                self._lines["left-out.csv"].append((photo.image_id, str(error)))

    def _write(self, photo: ReviewedPhoto, part: str) -> None:
        folder = self._out / part
        if photo.label is not None:
            name = self._folders.of_label(photo.label)
            if not name:
                raise ConflictError("The label {label!r} cannot be the name of a folder.", label=photo.label)
            folder /= name
            self._mains[name].add(photo.main_label or photo.label)
        file, content = open_original(self._context, photo.image_id)
        with content:
            target = folder / f"{photo.image_id}{suffix(file)}"
            make_folder(folder)
            link(file, content, target)
        self._counts[part] += 1
        self._lines["reviews.csv"].append(
            (
                target.relative_to(self._out),
                photo.image_id,
                photo.label,
                photo.main_label,
                photo.who,
                iso(photo.at),
                photo.sha256,
            )
        )

    def finish(self) -> Written:
        """Write the lists and return the numbers."""
        for name, lines in self._lines.items():
            _write_csv(self._out / name, _HEADERS[name], lines)
        mains = {name: each for name, each in sorted(self._mains.items()) if each != {name}}
        if mains and all(len(each) == 1 for each in self._mains.values()):
            rows = [(name, *each) for name, each in sorted(self._mains.items())]
            _write_csv(self._out / MAINS, ("sub", "main"), rows)
        return Written(
            self._counts[REVIEWED],
            self._counts[AUDIT],
            self._counts[NONE_OF_THESE],
            len(self._lines["conflicts.csv"]),
            len(self._lines["left-out.csv"]),
            self._counts["other"],
        )


def suffix(file: ImageFile) -> str:
    """Return how the name of a written photo ends."""
    return Path(file.name).suffix.lower()[:10] or f".{(file.format or 'img').lower()}"


def link(file: ImageFile, content: BinaryIO, target: Path) -> None:
    """Link the very file that is open, or copy it."""
    try:
        os.link(file.path, target)
        if os.path.samestat(target.stat(), os.fstat(content.fileno())):
            return
        target.unlink()
    except OSError:
        target.unlink(missing_ok=True)
    with whole_file(target) as partial, partial.open("wb") as stream:
        shutil.copyfileobj(content, stream)


def _write_csv(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows([as_text(str(cell)) if cell is not None else "" for cell in row] for row in rows)
