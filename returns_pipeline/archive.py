"""Moves files out of the intake after their results are committed. Safe to repeat after any interruption.

Plain strings and `os`, not `Path`: this runs once for every image.
"""

import errno
import os
import shutil
from pathlib import Path

from returns_pipeline.errors import TransientFault
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
    its source, and a newer file of the same name stays where it is. Raises TransientFault when the disk
    refuses.
    """
    source, target = os.fspath(request.source), os.fspath(request.destination)
    try:
        if not _is_at(source, request):
            return os.path.lexists(target)
        if os.path.lexists(target):
            # Only a copy across file systems that was cut short leaves both.
            os.unlink(source)
        else:
            _rename(source, target)
    except OSError as error:
        raise TransientFault(
            f"{source} cannot be moved to {target}: {error.strerror}.",
            "Make room, or give the workers' user permission to write there; the sweep tries again.",
        ) from error
    return True


def _is_at(source: str, request: Move) -> bool:
    try:
        found = os.lstat(source)
    except FileNotFoundError:
        return False
    return (found.st_size, found.st_mtime_ns) == (request.size, request.mtime_ns)


def _rename(source: str, target: str) -> None:
    try:
        _rename_or_copy(source, target)
    except FileNotFoundError:
        # The first of its chunk; asking for the folder each time would cost as much as the move.
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _rename_or_copy(source, target)


def _rename_or_copy(source: str, target: str) -> None:
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target)


def _copy(source: str, target: str) -> None:
    """Copy to another file system under a name of its own, so that the target is whole or absent."""
    partial = os.path.join(os.path.dirname(target), f".{os.path.basename(target)}"[:100] + ".part")
    shutil.copy2(source, partial)
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(partial, target)
    os.unlink(source)
