"""Writes new photos into a folder of this machine.

A request may bring a thousand: what is the same for all of them is found once.
"""

import contextlib
import os
from collections.abc import Iterable, Sequence

from returns_pipeline.errors import TransientFault
from returns_pipeline.photos.folder_search import found_file
from returns_pipeline.private_files import group_access, make_folder
from returns_pipeline.records.images import FoundFile

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def write_all(folder: str, photos: Iterable[tuple[str, bytes]]) -> list[FoundFile]:
    """Write (name, content) pairs as new files, and their folder. See PhotoSource.put_all."""
    try:
        opened = _open(folder)
    except OSError as error:
        raise _fault(folder, error) from error
    try:
        return _written(folder, opened, photos)
    finally:
        os.close(opened)


def _written(folder: str, opened: int, photos: Iterable[tuple[str, bytes]]) -> list[FoundFile]:
    place, shared = os.path.realpath(folder), group_access(os.fstat(opened)) & 0o060
    written: list[FoundFile] = []
    name = ""
    try:
        for name, content in photos:
            _write(opened, name, content, shared)
            status = os.stat(name, dir_fd=opened, follow_symlinks=False)
            written.append(found_file(f"{place}/{name}", status))
    except OSError as error:
        begun = [] if isinstance(error, FileExistsError) else [name]  # an existing file is another photo
        _remove(opened, [*(os.path.basename(file.path) for file in written), *begun])
        raise _fault(f"{folder}/{name}", error) from error
    return written


def _open(folder: str) -> int:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        make_folder(folder)
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


def _write(folder: int, name: str, content: bytes, shared: int) -> None:
    descriptor = os.open(name, _NEW, 0o600, dir_fd=folder)
    try:
        if shared:
            os.fchmod(descriptor, 0o600 | shared)
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
    finally:
        os.close(descriptor)


def _remove(folder: int, names: Sequence[str]) -> None:
    for name in names:
        # What cannot be deleted now, the sweep deletes as a spool file without a row.
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)


def _fault(place: str, error: OSError) -> TransientFault:
    return TransientFault(
        "{place} cannot be written: {reason}.",
        "Free some space, or give this process's user permission to write there.",
        place=place,
        reason=error.strerror,
    )
