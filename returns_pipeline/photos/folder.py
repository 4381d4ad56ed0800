"""Photos in folders of this machine: the PhotoSource for places that are absolute paths.

Plain strings and `os` instead of `Path` where code runs once for every photo.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from returns_pipeline.errors import ConfigFault, FaultCode, ImageFault, PipelineError, TransientFault
from returns_pipeline.photos import file_systems, folder_moves, folder_removals, folder_writes, intake_rules
from returns_pipeline.photos.file_identity import identity_of, is_copy
from returns_pipeline.photos.folder_clocks import FileServerClocks
from returns_pipeline.photos.folder_search import FolderSearch, found_file
from returns_pipeline.photos.source import Reader, require_size
from returns_pipeline.records.images import FoundFile, ImageFile, Move, PendingImage, Picture
from returns_pipeline.records.removal import StoredFile

#: Errors of `open` and `read` that are caused by the file, not by the disk or the machine.
_FILE_ERRNOS = {errno.EACCES, errno.EPERM, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENOTDIR}


class FolderSource:
    """See PhotoSource. An identity is a file's size and modification time, see `identity_of`."""

    def require_folder(self, root: str) -> None:
        """Raise ConfigFault unless `root` is a folder that can be listed."""
        if not os.path.exists(root):
            raise ConfigFault(
                "The folder {root} does not exist.",
                "Create it, or name the folder where the photos arrive: RETURNS_INCOMING_DIR, or "
                "`scan --dir`.",
                root=root,
            )
        if not os.path.isdir(root):
            raise ConfigFault(
                "{root} is a file, not a folder.", "Name a folder; `classify` takes single files.", root=root
            )
        if not os.access(root, os.R_OK | os.X_OK):
            raise ConfigFault(
                "The folder {root} cannot be read.", "Let the workers' user list it.", root=root
            )

    def has_folder(self, root: str) -> bool:
        """Whether there is a folder at `root`."""
        return os.path.isdir(root)

    def find(
        self,
        root: str,
        is_skipped: Callable[[str], bool] = intake_rules.is_skipped,
        *,
        unreadable: Callable[[str], None] | None = None,
        with_clock: bool = False,
    ) -> Iterator[FoundFile]:
        """Yield every regular file below `root`. See PhotoSource.find."""
        clocks = FileServerClocks() if with_clock else None
        return FolderSearch(root, is_skipped, unreadable, clocks).files()

    def file_system(self, root: str) -> str:
        """Return type and source of the file system of `root`. See PhotoSource.file_system."""
        return file_systems.file_system_of(root)

    def describe(self, place: str) -> FoundFile:
        """Return one file. See PhotoSource.describe. Follows links; the place is the file's real path."""
        place = os.path.realpath(place)
        try:
            status = os.stat(place)
        except OSError:
            return FoundFile(place, 0, 0, 0, "")
        if not stat.S_ISREG(status.st_mode):
            return FoundFile(place, 0, 0, 0, "")
        return found_file(place, status)

    def unchanged(self, files: Sequence[FoundFile]) -> list[bool]:
        """Whether each file is still at its place with the same identity."""
        return [_is_unchanged(file) for file in files]

    def reading(
        self,
        images: Sequence[PendingImage],  # noqa: ARG002 - a disk is read when the decoder asks
        max_bytes: int,  # noqa: ARG002
    ) -> AbstractContextManager[Reader]:
        """Give this source. See PhotoSource.reading."""
        return nullcontext(self)

    def read(self, image: PendingImage, max_bytes: int) -> bytes:
        """Return a file's content. See PhotoSource.read."""
        try:
            # A link or a pipe may have replaced the file since it was found.
            descriptor = os.open(image.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode) or identity_of(status) != image.identity:
                    raise ImageFault(FaultCode.CHANGED)
                data = _content(descriptor, status.st_size, max_bytes)
                # A program that still writes may have changed the part that was read first.
                if len(data) != status.st_size or identity_of(os.fstat(descriptor)) != image.identity:
                    raise ImageFault(FaultCode.CHANGED)
                return data
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            raise ImageFault(FaultCode.VANISHED) from None
        except OSError as error:
            raise _fault_of(image.path, error) from error

    def read_classified(self, picture: Picture, max_bytes: int) -> bytes:
        """Return the content of a classified file. See PhotoSource.read_classified.

        Its modification time is not compared: a copy on another file system may have lost some digits of it.
        """
        try:
            status = os.lstat(picture.path)
        except FileNotFoundError:
            raise ImageFault(FaultCode.VANISHED) from None
        except OSError as error:
            raise _unreadable_disk(picture.path, error) from error
        if status.st_size != picture.size:
            raise ImageFault(FaultCode.CHANGED)
        return self.read(PendingImage(0, picture.path, picture.size, identity_of(status)), max_bytes)

    def open(self, file: ImageFile) -> BinaryIO:
        """Open a file. See PhotoSource.open. Its modification time may differ as that of a copy."""
        try:
            descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            status = os.fstat(descriptor)
        except FileNotFoundError:
            raise ImageFault(FaultCode.VANISHED) from None
        except OSError as error:
            raise _fault_of(file.path, error) from error
        if not stat.S_ISREG(status.st_mode) or not is_copy(status, file.identity):
            os.close(descriptor)
            raise ImageFault(FaultCode.CHANGED)
        return os.fdopen(descriptor, "rb")

    def move(self, moves: Iterable[Move], progress: Callable[[], None]) -> list[int]:
        """Move files, across file systems too. See PhotoSource.move."""
        return folder_moves.move_all(moves, progress)

    def put_all(self, folder: str, photos: Iterable[tuple[str, bytes]]) -> list[FoundFile]:
        """Write new files, and their folder if it does not exist. See PhotoSource.put_all."""
        return folder_writes.write_all(folder, photos)

    def remove_originals(self, files: Sequence[StoredFile]) -> Mapping[int, bool | PipelineError]:
        """Delete files that are the recorded ones. See PhotoSource.remove_originals."""
        return folder_removals.remove_all(files)

    def requests(self) -> int:
        """Return 0: files need no requests. See PhotoSource.requests."""
        return 0

    def remove_empty(self, folders: Iterable[str], root: str) -> None:
        """Delete empty folders. See PhotoSource.remove_empty."""
        folder_removals.remove_empty(folders, root)

    def remove(self, place: str) -> None:
        """Delete a file. See PhotoSource.remove."""
        try:
            Path(place).unlink(missing_ok=True)
        except OSError as error:
            raise TransientFault(
                "{place} cannot be deleted: {reason}.",
                "Give this process's user permission to write there.",
                place=place,
                reason=error.strerror,
            ) from error


def _is_unchanged(file: FoundFile) -> bool:
    try:
        return identity_of(os.lstat(file.path)) == file.identity
    except OSError:
        return False


def _content(descriptor: int, size: int, max_bytes: int) -> bytes:
    require_size(size, max_bytes)
    data = os.read(descriptor, size)
    while len(data) < size and (more := os.read(descriptor, size - len(data))):
        data += more
    return data


def _fault_of(path: str, error: OSError) -> PipelineError:
    """Return what an error of `open` or `read` means: the file is at fault, or the disk."""
    if error.errno in _FILE_ERRNOS:
        return ImageFault(FaultCode.UNREADABLE, "The file cannot be read: {reason}.", reason=error.strerror)
    return _unreadable_disk(path, error)


def _unreadable_disk(path: str, error: OSError) -> TransientFault:
    return TransientFault(
        "{path} cannot be read: {reason}.",
        "Check the disk; the sweep tries again.",
        path=path,
        reason=error.strerror,
    )
