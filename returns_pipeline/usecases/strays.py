"""Files in the archive, in quarantine and in the spool that belong to no image."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from returns_pipeline.photos.source import PhotoSource
from returns_pipeline.records.images import FoundFile
from returns_pipeline.records.removal import StoredFile
from returns_pipeline.settings import Settings
from returns_pipeline.store import image_files, uploads
from returns_pipeline.store.database import Database, utc_now

_AT_ONCE = 500


class Strays(NamedTuple):
    """The strays of one folder: number, bytes, the last change of the oldest, how many were removed."""

    folder: str
    files: int
    size: int
    oldest: datetime | None
    removed: int


def look(settings: Settings, db: Database, photos: PhotoSource, *, removes_old: bool = False) -> list[Strays]:
    """Count the strays of each folder; with `removes_old`, remove those older than RETURNS_KEEP_DAYS.

    The age of a stray is the time since its last change, also of its name or its permissions.
    """
    before = utc_now() - timedelta(days=settings.keep_days) if removes_old and settings.keep_days else None
    return [
        _look(settings, db, photos, folder, before)
        for folder in (settings.archive_dir, settings.quarantine_dir, settings.spool_dir)
        if photos.has_folder(str(folder))
    ]


def _look(
    settings: Settings, db: Database, photos: PhotoSource, folder: Path, before: datetime | None
) -> Strays:
    files = size = removed = 0
    oldest: datetime | None = None
    root = str(folder.resolve() if folder == settings.spool_dir else folder)
    found = photos.find(root, lambda _: False)
    while some := list(islice(found, _AT_ONCE)):
        strays = list(_unknown(settings, db, folder, some))
        moments = {file: datetime.fromtimestamp(file.changed_ns / 1e9, UTC) for file in strays}
        files, size = files + len(strays), size + sum(file.size for file in strays)
        oldest = min([*moments.values(), *([oldest] if oldest else [])], default=None)
        if before is not None:
            old = [file for file in strays if moments[file] < before]
            removed += _remove(photos, root, old)
    return Strays(str(folder), files, size, oldest, removed)


def _unknown(
    settings: Settings, db: Database, folder: Path, some: Sequence[FoundFile]
) -> Iterator[FoundFile]:
    paths = [file.path for file in some]
    if folder == settings.spool_dir:
        unknown = set(uploads.unknown(db, paths))
    else:
        unknown = set(image_files.unknown(db, paths))
    return (file for file in some if file.path in unknown)


def _remove(photos: PhotoSource, root: str, files: Sequence[FoundFile]) -> int:
    """Remove files by the numbers of their places in the list; return how many were removed."""
    wanted = [
        StoredFile(number, file.path, root, file.size, file.identity, None)
        for number, file in enumerate(files)
    ]
    removed = sum(result is True for result in photos.remove_originals(wanted).values())
    photos.remove_empty({file.path.rpartition("/")[0] for file in files}, root)
    return removed
