"""Takes photos back that an object store archived after the database was copied.

A backup has nothing of an object store, which stays and is newer than the restored rows: photos that wait by
their rows may be in its archive. They go back to where they came from, and the night classifies them.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from returns_pipeline.photos import destinations
from returns_pipeline.photos.file_identity import size_of
from returns_pipeline.photos.source import PhotoSource
from returns_pipeline.records.images import FoundFile, Move
from returns_pipeline.records.places import is_object
from returns_pipeline.settings import Settings
from returns_pipeline.store import backups
from returns_pipeline.store.backups import Photo
from returns_pipeline.store.database import Database

_AT_ONCE = 1000
_THREADS = 16


class _Archived(NamedTuple):
    photo: Photo
    copy: FoundFile


class ArchivedSince:
    """Photos that wait by their rows, and lie in an archive or a quarantine of an object store.

    `returned` is how many went back, `missing` the places of those that cannot: another photo is there.
    """

    def __init__(self, settings: Settings, db: Database, photos: PhotoSource) -> None:
        """Prepare; nothing is listed before a photo is asked for."""
        folders = (str(settings.archive_dir), str(settings.quarantine_dir))
        self._folders = [folder for folder in folders if is_object(folder)]
        self._db, self._photos = db, photos
        self._copies: dict[int, dict[str, FoundFile]] = {}
        self._waiting: list[_Archived] = []
        self.returned = 0
        self.missing: list[str] = []

    def take(self, photo: Photo) -> bool:
        """Return whether a photo that waits was archived since; then `finish` takes it back."""
        if not self._folders:
            return False
        if photo.run_id not in self._copies:
            self._copies[photo.run_id] = self._archived(photo.run_id)
        name = destinations.destination("", photo.id, photo.source).lstrip("/")
        copy = self._copies[photo.run_id].get(name)
        if copy is None or copy.size != size_of(photo.identity):
            return False
        self._waiting.append(_Archived(photo, copy))
        if len(self._waiting) == _AT_ONCE:
            self.finish()
        return True

    def finish(self) -> None:
        """Take back what was asked for. May run twice. Raises PipelineError if a store refuses it."""
        waiting, self._waiting = self._waiting, []
        with ThreadPoolExecutor(_THREADS) as pool:
            there = list(pool.map(self._identity, waiting))
            moves = []
            for (photo, copy), identity in zip(waiting, there, strict=True):
                if not identity:
                    moves.append(Move(photo.id, copy.path, photo.source, copy.identity))
                elif identity == photo.identity:
                    self._photos.remove(copy.path)  # its move was not complete
                else:
                    self.missing.append(photo.source)
            gone = set(self._photos.move(moves, lambda: None))
            self.missing += [each.source for each in moves if each.image_id in gone]
            self.returned += len(moves) - len(gone)
            # Some stores give a copy another ETag.
            back = {each.image_id for each in moves} - gone
            returned = [each for each in waiting if each.photo.id in back]
            identities = zip(returned, pool.map(self._identity, returned), strict=True)
            backups.identify(
                self._db,
                [(each.photo.id, new) for each, new in identities if new != each.photo.identity],
            )

    def _archived(self, run_id: int) -> dict[str, FoundFile]:
        """Return what a run archived, by its name."""
        return {
            file.path.rpartition("/")[2]: file
            for folder in self._folders
            for file in self._photos.find(f"{folder}/run-{run_id}", lambda _: False)
        }

    def _identity(self, archived: _Archived) -> str:
        """Return the identity of what lies where a photo came from; empty if nothing does."""
        return self._photos.describe(archived.photo.source).identity
