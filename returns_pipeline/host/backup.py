"""Copies the database and the folders of an installation while it works.

Meanwhile photos move from intakes to the archive. The backup has them all the same: the folders are copied
before the database and again after it, each time first those that photos come from, then those that they go
to. So it has the file of each row, in its old place, in its new place or in both; `restore` puts it where the
row says.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from returns_pipeline.errors import ConfigFault, ConflictError, RefusedError
from returns_pipeline.photos.file_identity import identity_of
from returns_pipeline.private_files import make_folder, open_private
from returns_pipeline.records.places import is_object
from returns_pipeline.settings import Settings
from returns_pipeline.store import backups
from returns_pipeline.store.database import Database

FORMAT = 1
MANIFEST = "backup.json"
_LOCK = ".lock"
#: Below it is a folder for each place.
FILES = "files"
_PART = ".part"


class Done(NamedTuple):
    """What a backup did: files that were copied now, files that it has, object stores that it left out."""

    copied: int
    files: int
    left_out: list[str]


def places(settings: Settings) -> dict[str, str]:
    """Return the name and the path of each place of photos and files, those that photos come from first.

    Object stores are among them. The places that photos come from are spelled as in the rows: without links.
    """
    sources = {
        f"incoming-{number}": intake.folder for number, intake in enumerate(settings.every_intake, start=1)
    } | {"spool": settings.spool_dir}
    others = ("archive", "quarantine", "report", "manifest", "feed", "catalogue", "models", "spaces")
    return {
        name: str(folder if is_object(str(folder)) else folder.resolve()) for name, folder in sources.items()
    } | {name: str(getattr(settings, f"{name}_dir")) for name in others}


def back_up(settings: Settings, db: Database, target: Path, *, with_database: bool) -> Done:
    """Copy everything into the folder `target`; an older backup there is brought up to date.

    Raises RefusedError if the folder has other files or lies in a folder that is copied, ConflictError if
    another backup into it runs, ConfigFault if a file cannot be read or written.
    """
    all_places = places(settings)
    folders = {name: path for name, path in all_places.items() if not is_object(path)}
    _require_apart(target, folders.values())
    if target.exists() and not target.is_dir():
        raise RefusedError("{target} is a file. Name a folder for backups alone.", target=target)
    try:
        make_folder(target)
        with _locked(target):
            copied, before = _copy_all(folders, target)
            if with_database:
                part = target / f"{backups.file_name(db)}{_PART}"
                backups.save(db, part)
                part.replace(target / backups.file_name(db))
            copied_after, after = _copy_all(folders, target)
            _forget_old(target, folders, before | after)
            _write_manifest(target, folders, db, with_database=with_database)
            os.sync()
    except OSError as error:
        raise ConfigFault(
            "The backup is not complete. {path}: {reason}.",
            "Make room and give this user the permission to read and write there; then back up again.",
            path=error.filename or target,
            reason=error.strerror,
        ) from error
    left_out = [path for path in all_places.values() if is_object(path)]
    return Done(copied + copied_after, sum(1 for _ in files_below(target / FILES)), left_out)


def files_below(root: Path) -> Iterator[Path]:
    """Yield the regular files below a folder. A folder that is missing has none."""
    with suppress(FileNotFoundError), os.scandir(root) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from files_below(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield Path(entry.path)


def copy_file(source: Path, target: Path) -> bool:
    """Copy a file with its times, unless the same is there; return whether it was copied.

    A file that vanishes or changes meanwhile is not copied.
    """
    try:
        status = source.stat(follow_symlinks=False)
        with suppress(FileNotFoundError):
            if identity_of(target.stat(follow_symlinks=False)) == identity_of(status):
                return False
        make_folder(target.parent)
        part = target.with_name(f".{target.name[:100]}{_PART}")
        with source.open("rb") as read, open(part, "wb", opener=open_private) as written:
            shutil.copyfileobj(read, written)
        shutil.copystat(source, part, follow_symlinks=False)
        if identity_of(part.stat()) != identity_of(status):
            part.unlink()
            return False
        part.replace(target)
    except FileNotFoundError:
        if source.exists():
            raise
        return False
    return True


def _copy_all(folders: dict[str, str], target: Path) -> tuple[int, set[Path]]:
    """Copy what is new; return how much, and the copies of what waits in intakes and spool now."""
    copied, waiting = 0, set()
    for name, folder in folders.items():
        for source in files_below(Path(folder)):
            copy = target / FILES / name / source.relative_to(folder)
            copied += copy_file(source, copy)
            if is_source(name):
                waiting.add(copy)
    return copied, waiting


def is_source(name: str) -> bool:
    """Whether photos leave this place for the archive."""
    return name == "spool" or name.startswith("incoming")


def _forget_old(target: Path, folders: dict[str, str], waiting: set[Path]) -> None:
    """Remove copies of photos that had left their intake before this backup began: the archive has them."""
    for name in filter(is_source, folders):
        for copy in files_below(target / FILES / name):
            if copy not in waiting:
                copy.unlink()


def _write_manifest(target: Path, folders: dict[str, str], db: Database, *, with_database: bool) -> None:
    content = {
        "format": FORMAT,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "database": backups.file_name(db) if with_database else None,
        "revision": db.revision()[0],
        "folders": folders,
    }
    part = target / f"{MANIFEST}{_PART}"
    part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    part.replace(target / MANIFEST)


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Keep other backups away, and refuse a folder that has other files."""
    lock = target / _LOCK
    if not lock.exists() and any(target.iterdir()):
        raise RefusedError(
            "{folder} is not empty and has no backup. Name a folder for backups alone.", folder=target
        )
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError("Another backup into {folder} runs.", folder=target) from None
        yield


def _require_apart(target: Path, folders: Iterable[str]) -> None:
    resolved = target.resolve()
    for folder in folders:
        other = Path(folder).resolve()
        if resolved.is_relative_to(other) or other.is_relative_to(resolved):
            raise RefusedError(
                "The backup {target} and the folder {folder} may not contain each other. "
                "Name a folder outside of the installation's.",
                target=target,
                folder=folder,
            )
