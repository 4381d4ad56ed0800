"""Moves files out of the intake after their results are committed. Safe to repeat after any interruption.

Plain strings and `os`, not `Path`: this runs once for every image.
"""

import errno
import filecmp
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.records import Move

_NAME_BYTES = 255


def destination(root: Path, run_id: int, chunk_id: int, image_id: int, name: str) -> Path:
    """Return the one place for an image under `root`: RUN/CHUNK/IMAGE-name.

    Ids make it unique, so that a name that comes back tomorrow never meets today's file, and a
    chunk's folder keeps every folder small. A name that would grow over 255 bytes loses its beginning.
    """
    prefix = f"{image_id}-".encode()
    kept = os.fsencode(name)[-(_NAME_BYTES - len(prefix)) :]
    return root / f"run-{run_id}" / str(chunk_id) / os.fsdecode(prefix + kept)


def move(request: Move) -> bool:
    """Move one file to its destination, across file systems too; return whether the file is there.

    It is there also if an earlier attempt had moved it. False: the file that was classified is no longer at
    its source, and a newer file of the same name stays where it is. Nothing is ever overwritten.

    Raises TransientFault when the disk refuses, ConfigFault when another file lies at the destination.
    """
    source, target = os.fspath(request.source), os.fspath(request.destination)
    try:
        if not os.path.lexists(target):
            if not _is_at(source, request):
                return False
            _rename(source, target, request)
        elif not _is_at(target, request):
            raise ConfigFault(
                f"{target} is another file than the one that belongs there.",
                "The folder is another installation's or an older database's: set RETURNS_ARCHIVE_DIR and "
                "RETURNS_QUARANTINE_DIR to folders of this one's own.",
            )
        elif _is_at(source, request):
            _remove_copied(source, target)
    except OSError as error:
        raise TransientFault(
            f"{source} cannot be moved to {target}: {error.strerror}.",
            "Make room, or give the workers' user permission to write there; the sweep tries again.",
        ) from error
    return True


def sync(folders: Iterable[Path]) -> None:
    """Make renames into `folders` survive a power failure. Raises TransientFault when the disk refuses."""
    for folder in folders:
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise TransientFault(f"{folder} cannot be written to the disk: {error.strerror}.") from error


def _is_at(path: str, request: Move) -> bool:
    """Whether the file that was classified lies there: a rename and a copy keep its size and time."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    return (found.st_size, found.st_mtime_ns) == (request.size, request.mtime_ns)


def _remove_copied(source: str, target: str) -> None:
    """Finish a copy across file systems that was cut short before its source was removed."""
    if filecmp.cmp(source, target, shallow=False):
        os.unlink(source)


def _rename(source: str, target: str, request: Move) -> None:
    try:
        _rename_or_copy(source, target, request)
    except FileNotFoundError:
        # The first of its chunk; asking for the folder each time would cost as much as the move.
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _rename_or_copy(source, target, request)


def _rename_or_copy(source: str, target: str, request: Move) -> None:
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target, request)


def _copy(source: str, target: str, request: Move) -> None:
    """Copy to another file system under a name of our own, so that the target is whole or absent."""
    partial = os.path.join(os.path.dirname(target), f".{request.image_id}.{os.getpid()}.part")
    try:
        shutil.copy2(source, partial)
        descriptor = os.open(partial, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(partial, target)
    except OSError:
        if os.path.lexists(partial):
            os.unlink(partial)
        raise
    os.unlink(source)
