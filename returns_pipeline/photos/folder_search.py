"""Lists the photos below a folder of this machine.

Plain strings and `os` instead of `Path`: this runs once for every photo.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from itertools import islice
from operator import attrgetter

import structlog

from returns_pipeline.errors import TransientFault
from returns_pipeline.photos import folder_renames
from returns_pipeline.photos.file_identity import identity_of
from returns_pipeline.photos.folder_clocks import FileServerClocks
from returns_pipeline.records.images import FoundFile

#: Files of a folder that are sorted together: it bounds the memory, and how long the first one takes.
_SORTED_TOGETHER = 50_000

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")


def found_file(path: str, status: os.stat_result, now_ns: int | None = None) -> FoundFile:
    """Return a file by its status; `now_ns` is the present moment by the clock of its file server."""
    # The inode's change time: copy programs set the modification time back, but cannot set this one.
    size, mtime_ns, changed_ns = status.st_size, status.st_mtime_ns, status.st_ctime_ns
    return FoundFile(path, size, mtime_ns, changed_ns, identity_of(status), status.st_blocks, now_ns)


class FolderSearch:
    """One search of a folder and its subfolders. Memory stays flat: it holds one block of names, and folders.

    A folder's files come in the order of their names, so of two photos of one night the earlier name has the
    lower id. A folder of more than 50,000 files is sorted in blocks.

    Symbolic links are left out: they could lead out of the folder or in a circle. `unreadable` is called with
    each subfolder that cannot be listed, or whose files cannot be examined. With `clocks` a search also puts
    back photos that a process hid and then died, see `folder_renames`.
    """

    def __init__(
        self,
        root: str,
        is_skipped: Callable[[str], bool],
        unreadable: Callable[[str], None] | None,
        clocks: FileServerClocks | None,
    ) -> None:
        """Prepare; nothing is listed yet."""
        self._root, self._is_skipped, self._unreadable, self._clocks = root, is_skipped, unreadable, clocks
        self._folders = [root]

    def files(self) -> Iterator[FoundFile]:
        """Yield every regular file. Raises TransientFault if the root cannot be listed."""
        while self._folders:
            folder = self._folders.pop()
            try:
                yield from self._files_of(folder)
            except OSError as error:
                if folder == self._root:
                    raise TransientFault(
                        "The folder {root} cannot be listed: {reason}.", root=folder, reason=error.strerror
                    ) from error
                # A subfolder that was removed meanwhile holds no photo.
                if not isinstance(error, FileNotFoundError):
                    self._refused(folder, error)

    def _files_of(self, folder: str) -> Iterator[FoundFile]:
        clocks, is_skipped, hidden, refusal = self._clocks, self._is_skipped, [], None
        device, now_ns = -1, None
        with os.scandir(folder) as entries, self._inner_folders() as inner:
            for entry in _by_name(entries):
                if is_skipped(entry.name):
                    if entry.name.startswith(folder_renames.TAKEN):
                        hidden.append(entry.path)
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        inner.append(entry.path)
                        continue
                    if not entry.is_file(follow_symlinks=False):
                        continue
                    status = entry.stat(follow_symlinks=False)
                except OSError as error:
                    refusal = refusal if isinstance(error, FileNotFoundError) else error
                    continue
                if clocks and status.st_dev != device:
                    device = status.st_dev
                    now_ns = clocks.now_ns(device, folder)
                yield found_file(entry.path, status, now_ns)
        if refusal:
            self._refused(folder, refusal)
        for path in hidden if clocks else ():
            self._show_if_abandoned(path, folder)

    @contextlib.contextmanager
    def _inner_folders(self) -> Iterator[list[str]]:
        """Give a list for the folders of a folder; they are searched next, in its order."""
        found: list[str] = []
        try:
            yield found
        finally:
            self._folders += reversed(found)

    def _refused(self, folder: str, error: OSError) -> None:
        log.warning("folder_skipped", folder=folder, reason=error.strerror)
        if self._unreadable:
            self._unreadable(folder)

    def _show_if_abandoned(self, path: str, folder: str) -> None:
        try:
            status = os.lstat(path)
            now_ns = self._clocks.now_ns(status.st_dev, folder) if self._clocks else None
            if now_ns is not None and now_ns - status.st_ctime_ns > folder_renames.ABANDONED_NS:
                folder_renames.show(path)
                log.warning("hidden_photo_shown", file=path)
        except OSError as error:
            log.warning("hidden_photo_stays", file=path, reason=error.strerror)


def _by_name(entries: "Iterator[os.DirEntry[str]]") -> "Iterator[os.DirEntry[str]]":
    while some := sorted(islice(entries, _SORTED_TOGETHER), key=attrgetter("name")):
        yield from some
