"""Moves files out of the intake after their results are committed. Safe to repeat after any interruption."""

import errno
import os
import shutil
from enum import StrEnum
from pathlib import Path

from returns_pipeline.errors import TransientFault
from returns_pipeline.records import Move

_NAME_BYTES = 255


class Moved(StrEnum):
    """What a move found."""

    DONE = "done"
    GONE = "gone"


def destination(root: Path, run_id: int, chunk_id: int, image_id: int, name: str) -> Path:
    """Return the one place for an image under `root`: RUN/CHUNK/IMAGE-name.

    Ids make it unique, so that a name that comes back tomorrow never meets today's file, and a
    chunk's folder keeps every folder small. A name that would grow over 255 bytes loses its beginning.
    """
    prefix = f"{image_id}-".encode()
    kept = os.fsencode(name)[-(_NAME_BYTES - len(prefix)) :]
    return root / f"run-{run_id}" / str(chunk_id) / os.fsdecode(prefix + kept)


def move(request: Move) -> Moved:
    """Move one file to its destination, across file systems too.

    DONE when the destination holds the file afterwards, also if an earlier attempt had moved it. GONE
    when the file that was classified is no longer at its source: a newer file of the same name stays
    where it is. Raises TransientFault when the disk refuses.
    """
    try:
        moved_before = request.destination.exists()
        if not _is_at_source(request):
            return Moved.DONE if moved_before else Moved.GONE
        if moved_before:
            # Only a copy across file systems that was cut short leaves both.
            request.source.unlink(missing_ok=True)
        else:
            request.destination.parent.mkdir(parents=True, exist_ok=True)
            _rename(request.source, request.destination)
    except OSError as error:
        raise TransientFault(
            f"{request.source} cannot be moved to {request.destination}: {error.strerror}."
        ) from error
    return Moved.DONE


def _is_at_source(request: Move) -> bool:
    try:
        found = request.source.lstat()
    except FileNotFoundError:
        return False
    return (found.st_size, found.st_mtime_ns) == (request.size, request.mtime_ns)


def _rename(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        partial = target.with_name(f".{target.name}"[:200] + ".part")
        shutil.copy2(source, partial)
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.rename(target)
        source.unlink()
