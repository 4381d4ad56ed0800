"""Photos in folders of this machine and in object stores: each place is given to its own source."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import BinaryIO

from returns_pipeline.errors import PipelineError
from returns_pipeline.photos import carrying, intake_rules, sent_requests
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.photos.source import ImmovableFault, PhotoSource, Reader
from returns_pipeline.records.images import FoundFile, ImageFile, Move, PendingImage, Picture
from returns_pipeline.records.places import is_object, root_of
from returns_pipeline.records.removal import StoredFile

_FOLDERS, _BUCKET, _BETWEEN = "folders", "bucket", "between"


class Sources:
    """See PhotoSource. The program of object stores is loaded when the first place needs it."""

    def __init__(self) -> None:
        """Prepare; nothing is opened."""
        self._folders = FolderSource()

    @cached_property
    def _objects(self) -> PhotoSource:
        from returns_pipeline.photos.objects.source import ObjectSource

        return ObjectSource()

    def _of(self, place: str) -> PhotoSource:
        return self._objects if is_object(place) else self._folders

    def require_folder(self, root: str) -> None:
        """Raise ConfigFault unless `root` can be listed."""
        self._of(root).require_folder(root)

    def has_folder(self, root: str) -> bool:
        """Whether there is a folder at `root`."""
        return self._of(root).has_folder(root)

    def find(
        self,
        root: str,
        is_skipped: Callable[[str], bool] = intake_rules.is_skipped,
        *,
        unreadable: Callable[[str], None] | None = None,
        with_clock: bool = False,
    ) -> Iterator[FoundFile]:
        """Yield every photo below `root`. See PhotoSource.find."""
        return self._of(root).find(root, is_skipped, unreadable=unreadable, with_clock=with_clock)

    def file_system(self, root: str) -> str:
        """Return where `root` lies. See PhotoSource.file_system."""
        return self._of(root).file_system(root)

    def describe(self, place: str) -> FoundFile:
        """Return one photo. See PhotoSource.describe."""
        return self._of(place).describe(place)

    def unchanged(self, files: Sequence[FoundFile]) -> list[bool]:
        """Whether each photo is unchanged. See PhotoSource.unchanged."""
        in_store = [file for file in files if is_object(file.path)]
        if not in_store:
            return self._folders.unchanged(files)
        found = dict(zip(in_store, self._objects.unchanged(in_store), strict=True))
        return [found[file] if file in found else self._folders.unchanged([file])[0] for file in files]

    def reading(self, images: Sequence[PendingImage], max_bytes: int) -> AbstractContextManager[Reader]:
        """Give a reader of these photos. See PhotoSource.reading."""
        if not any(is_object(image.path) for image in images):
            return nullcontext(self._folders)
        from returns_pipeline.photos.objects.fetching import FetchedAhead

        return FetchedAhead(self.read, images, max_bytes)

    def read(self, image: PendingImage, max_bytes: int) -> bytes:
        """Return a photo's content. See PhotoSource.read."""
        return self._of(image.path).read(image, max_bytes)

    def read_classified(self, picture: Picture, max_bytes: int) -> bytes:
        """Return a classified photo's content. See PhotoSource.read_classified."""
        return self._of(picture.path).read_classified(picture, max_bytes)

    def open(self, file: ImageFile) -> BinaryIO:
        """Open a photo. See PhotoSource.open."""
        return self._of(file.path).open(file)

    def move(self, moves: Iterable[Move], progress: Callable[[], None]) -> list[int]:
        """Move photos, between folders and stores too. See PhotoSource.move."""
        ways: dict[str, list[Move]] = {}
        for each in moves:
            ways.setdefault(_way(each.source, each.destination), []).append(each)
        gone: list[int] = []
        faults: list[PipelineError] = []
        immovable: dict[int, str] = {}
        for way, some in ways.items():
            move = {_FOLDERS: self._folders.move, _BUCKET: self._move_objects}.get(way, self._carry)
            try:
                gone += move(some, progress)
            except ImmovableFault as fault:
                gone += fault.gone
                immovable |= fault.reasons
                first = fault
            except PipelineError as fault:
                faults.append(fault)
        if faults:
            raise faults[0]
        if immovable:
            raise first.about(immovable, gone)
        return gone

    def put_all(self, folder: str, photos: Iterable[tuple[str, bytes]]) -> list[FoundFile]:
        """Write new photos. See PhotoSource.put_all."""
        return self._of(folder).put_all(folder, photos)

    def remove_originals(self, files: Sequence[StoredFile]) -> Mapping[int, bool | PipelineError]:
        """Delete recorded photos. See PhotoSource.remove_originals."""
        of_objects = [each for each in files if is_object(each.path)]
        of_folders = [each for each in files if not is_object(each.path)]
        found = dict(self._folders.remove_originals(of_folders)) if of_folders else {}
        return found | dict(self._objects.remove_originals(of_objects)) if of_objects else found

    def requests(self) -> int:
        """Return how many requests this process has sent. See PhotoSource.requests."""
        return sent_requests.sent()

    def remove_empty(self, folders: Iterable[str], root: str) -> None:
        """Delete empty folders. See PhotoSource.remove_empty."""
        self._of(root).remove_empty(folders, root)

    def remove(self, place: str) -> None:
        """Delete a photo. See PhotoSource.remove."""
        self._of(place).remove(place)

    def _move_objects(self, moves: Iterable[Move], progress: Callable[[], None]) -> list[int]:
        return self._objects.move(moves, progress)

    def _carry(self, moves: Iterable[Move], progress: Callable[[], None]) -> list[int]:
        return carrying.carry_all(self, list(moves), progress)


def _way(source: str, destination: str) -> str:
    """Return how a photo is moved: between folders, within a bucket, or from one kind of place to another."""
    if not is_object(source) and not is_object(destination):
        return _FOLDERS
    return _BUCKET if root_of(source) == root_of(destination) else _BETWEEN
