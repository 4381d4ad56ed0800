"""Brings an installation back from a backup: the database, then each photo to where its row says it is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from returns_pipeline.errors import ConfigFault, ConflictError, PipelineError, RefusedError
from returns_pipeline.host.archived_since import ArchivedSince
from returns_pipeline.host.backup import FILES, FORMAT, MANIFEST, copy_file, files_below, is_source, places
from returns_pipeline.photos.file_identity import identity_of, size_of
from returns_pipeline.photos.sources import Sources
from returns_pipeline.records.places import is_object
from returns_pipeline.settings import Settings
from returns_pipeline.store import backups
from returns_pipeline.store.backups import Photo
from returns_pipeline.store.database import Database

#: Folders whose files only the rows of photos bring back.
_OF_PHOTOS = ("archive", "quarantine")
#: Folders that an installation has from the beginning: only what is missing is brought back.
_SHIPPED = ("models", "spaces")


class Restored(NamedTuple):
    """Photos in archive and quarantine, photos that wait, other files; places of photos that are missing.

    `returned`: photos that an object store had archived after the backup, and that wait in it again.
    """

    kept: int
    waiting: int
    others: int
    missing: list[str]
    returned: int


def restore(settings: Settings, db: Database, source: Path, *, with_database: bool) -> Restored:
    """Restore a backup into empty folders and, `with_database`, an empty database. No worker may run.

    Raises RefusedError if there is no backup or it is of other folders, ConflictError if a folder or the
    database is not empty, ConfigFault if a file cannot be written.
    """
    manifest = _manifest(source)
    folders: dict[str, str] = manifest["folders"]
    _require_same(folders, places(settings))
    _require_empty(folders)
    if with_database:
        if manifest["database"] is None:
            raise RefusedError("The backup has no database. Restore it first, then use --without-database.")
        backups.load(db, source / manifest["database"])
    try:
        archived_since = ArchivedSince(settings, db, Sources())
        return _Photos(source / FILES, folders).put_back(db, archived_since)
    except OSError as error:
        raise ConfigFault(
            "{path} cannot be restored: {reason}.",
            "Make room and give this user the permission to write there. Then restore into empty folders.",
            path=error.filename,
            reason=error.strerror,
        ) from error


class _Photos:
    """The files of a backup, and where they go."""

    def __init__(self, files: Path, folders: dict[str, str]) -> None:
        self._files = files
        self._folders = folders
        #: The places of copies that were in an intake or the spool, until a row says what becomes of them.
        self._waiting = {
            str(folder / copy.relative_to(files / name)): copy
            for name, folder in self._sources()
            for copy in files_below(files / name)
        }

    def put_back(self, db: Database, archived_since: ArchivedSince) -> Restored:
        """Copy every file to its place."""
        kept = waiting = 0
        missing = []
        for photo in backups.photos(db):
            copy, place = self._place_of(photo)
            if copy is not None and is_object(place):
                if _send_back(db, photo, copy):
                    waiting += 1
                else:
                    missing.append(place)
                continue
            if copy is not None and place:
                copy_file(copy, Path(place))
                kept, waiting = kept + (place != photo.source), waiting + (place == photo.source)
            is_archived = photo.is_pending and archived_since.take(photo)
            if copy is None and place and not is_archived:
                missing.append(place)
        archived_since.finish()
        for place, copy in self._waiting.items():  # photos that had no row yet
            waiting += copy_file(copy, Path(place))
        missing += archived_since.missing
        return Restored(kept, waiting, self._put_others_back(), missing, archived_since.returned)

    def _place_of(self, photo: Photo) -> tuple[Path | None, str]:
        """Return the copy of a photo and its place; an empty place if the backup is not to have it."""
        found = self._waiting.get(photo.source)
        if found is not None and identity_of(found.stat()) == photo.identity:
            del self._waiting[photo.source]
        else:
            found = None
        if photo.is_pending:
            copy = found or self._moved(photo)
            # Of an object store the backup has only what a worker has moved into a folder meanwhile.
            is_wanted = copy is not None if is_object(photo.source) else self._is_ours(photo.source)
            return copy, photo.source if is_wanted else ""
        archived = self._copy(photo.archived)
        if archived is not None and archived.exists():
            return archived, photo.archived or ""
        if photo.is_left:
            # A backup has nothing of an object store.
            return found, "" if is_object(photo.archived or "") else photo.archived or ""
        return found, photo.source if self._is_ours(photo.source) else ""

    def _moved(self, photo: Photo) -> Path | None:
        """Return the copy of a photo that left its intake after the database was copied."""
        for name in _OF_PHOTOS:
            for copy in (self._files / name / f"run-{photo.run_id}").glob(f"*/{photo.id}-*"):
                status = copy.stat()
                # A file that came out of a store has its size only: its time is that of the move.
                is_same = identity_of(status) == photo.identity
                if is_same or (is_object(photo.source) and status.st_size == size_of(photo.identity)):
                    return copy
        return None

    def _put_others_back(self) -> int:
        return sum(
            copy_file(copy, Path(folder) / copy.relative_to(self._files / name))
            for name, folder in self._folders.items()
            if name not in _OF_PHOTOS and not is_source(name)
            for copy in files_below(self._files / name)
            if name not in _SHIPPED or not (Path(folder) / copy.relative_to(self._files / name)).exists()
        )

    def _sources(self) -> Iterator[tuple[str, Path]]:
        return ((name, Path(folder)) for name, folder in self._folders.items() if is_source(name))

    def _is_ours(self, path: str) -> bool:
        return any(path.startswith(f"{folder}/") for _, folder in self._sources())

    def _copy(self, path: str | None) -> Path | None:
        """Return where the backup has the file of a place."""
        for name in _OF_PHOTOS:
            folder = self._folders.get(name)
            if path is not None and folder is not None and path.startswith(f"{folder}/"):
                return self._files / name / path[len(folder) + 1 :]
        return None


def _send_back(db: Database, photo: Photo, copy: Path) -> bool:
    """Write a pending photo to its place in a store again; return whether it is there.

    It stays as it is if it was not moved after all. Another photo that has its name by now is not replaced.
    """
    store = Sources()
    try:
        there = store.describe(photo.source)
        if there.identity:
            return there.identity == photo.identity
        folder, _, name = photo.source.rpartition("/")
        (there,) = store.put_all(folder, [(name, copy.read_bytes())])
    except PipelineError:
        return False
    if there.identity != photo.identity:
        # The ETag of some stores changes although the content is the same.
        backups.identify(db, [(photo.id, there.identity)])
    return True


def _manifest(source: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RefusedError("There is no finished backup in {folder}.", folder=source) from error
    if content.get("format") != FORMAT:
        raise RefusedError("The backup in {folder} is of a newer version.", folder=source)
    return content


def _require_same(folders: dict[str, str], now: dict[str, str]) -> None:
    for name, folder in folders.items():
        if now.get(name) != folder and name not in _SHIPPED:
            raise RefusedError(
                "The backup has the folder {folder}, and the settings {now}. The rows name the folders of "
                "the backup: set the same ones.",
                folder=folder,
                now=now.get(name, "-"),
            )


def _require_empty(folders: dict[str, str]) -> None:
    for name, folder in folders.items():
        if name not in _SHIPPED and next(files_below(Path(folder)), None) is not None:
            raise ConflictError(
                "{folder} is not empty. Move it away: a backup is restored into empty folders.",
                folder=folder,
            )
