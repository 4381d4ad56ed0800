"""Moves files out of the intake after their results are committed. Safe to repeat after any interruption.

Plain strings and `os`, not `Path`: this runs once for every image.
"""

import errno
import filecmp
import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from returns_pipeline.errors import ConfigFault, PipelineError, TransientFault
from returns_pipeline.records.images import Move

_NAME_BYTES = 255
#: No more letters than this are never more bytes than a name may have.
_SURELY_SHORT = _NAME_BYTES // 4
_COARSEST_NS = 2_000_000_000


def folder_of(root: Path, run_id: int, chunk_id: int) -> str:
    """Return the one folder for a chunk's images under `root`: RUN/CHUNK. It keeps every folder small."""
    return str(root / f"run-{run_id}" / str(chunk_id))


def destination(folder: str, image_id: int, source: str) -> str:
    """Return the one place for an image in its chunk's folder: IMAGE-name.

    The id makes it unique, so that a name that comes back tomorrow never meets today's file. A name that
    would grow over 255 bytes loses its beginning.
    """
    name = f"{image_id}-{source.rpartition('/')[2]}"
    if len(name) > _SURELY_SHORT:
        prefix = f"{image_id}-".encode()
        kept = os.fsencode(name)[len(prefix) :][-(_NAME_BYTES - len(prefix)) :]
        name = os.fsdecode(prefix + kept)
    return f"{folder}/{name}"


def move_all(requests: Iterable[Move], progress: Callable[[], None]) -> list[int]:
    """Move the files of a chunk and make it last; return the images whose file is gone. See `move`.

    Calls `progress` before each file. Raises the first fault after all were tried: one file that cannot be
    moved holds up no other.
    """
    gone: list[int] = []
    faults: list[PipelineError] = []
    moved: set[str] = set()
    present: dict[str, set[str]] = {}
    for request in requests:
        progress()
        folder, _, name = request.destination.rpartition("/")
        try:
            if folder not in present:
                present[folder] = _names(folder)
            if move(request, is_free=name not in present[folder]):
                moved.add(folder)
            else:
                gone.append(request.image_id)
        except PipelineError as fault:
            faults.append(fault)
    if faults:
        raise faults[0]
    _sync_all(moved)
    return gone


def _names(folder: str) -> set[str]:
    try:
        return set(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        raise TransientFault(
            "{folder} cannot be listed: {reason}.", folder=folder, reason=error.strerror
        ) from error


def move(request: Move, *, is_free: bool = False) -> bool:
    """Move one file to its destination, across file systems too; return whether the file is there.

    `is_free` says that nothing lay at the destination a moment ago.

    It is there also if an earlier attempt, or another process at this moment, has moved it. False: the file
    that was classified is no longer at its source, and a newer file of the same name stays where it is.

    Raises TransientFault when the disk refuses, ConfigFault when another file lies at the destination.
    """
    source, target = request.source, request.destination
    try:
        if not is_free and os.path.lexists(target):
            _require_ours(target, request)
            if _is_at(source, request):
                _remove_copied(source, target)
        elif not _is_at(source, request):
            # Looked at again: another process may have moved it between the two looks.
            return os.path.lexists(target)
        else:
            return _rename(source, target, request)
    except OSError as error:
        raise TransientFault(
            "{source} cannot be moved to {target}: {reason}.",
            "Make room, or give the workers' user permission to write there; the sweep tries again.",
            source=source,
            target=target,
            reason=error.strerror,
        ) from error
    return True


def _sync_all(folders: Iterable[str]) -> None:
    """Make renames into RUN/CHUNK folders survive a power failure."""
    every = {place for folder in map(Path, folders) for place in (folder, *folder.parents[:2])}
    for folder in every:
        try:
            _sync(str(folder))
        except OSError as error:
            raise TransientFault(
                "{folder} cannot be written to the disk: {reason}.", folder=folder, reason=error.strerror
            ) from error


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_at(path: str, request: Move) -> bool:
    """Whether the very file that was classified lies there."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    return (found.st_size, found.st_mtime_ns) == (request.size, request.mtime_ns)


def _require_ours(target: str, request: Move) -> None:
    """Raise ConfigFault when the file at the destination is another one.

    Its time may differ a little: there are file systems that keep it to 2 seconds only.
    """
    found = os.lstat(target)
    if found.st_size != request.size or abs(found.st_mtime_ns - request.mtime_ns) > _COARSEST_NS:
        raise ConfigFault(
            "{target} is another file than the one that belongs there.",
            "The folder is another installation's or an older database's: set RETURNS_ARCHIVE_DIR and "
            "RETURNS_QUARANTINE_DIR to folders of this one's own.",
            target=target,
        )


def _remove_copied(source: str, target: str) -> None:
    """Finish a copy across file systems that was cut short before its source was removed."""
    if filecmp.cmp(source, target, shallow=False):
        os.unlink(source)


def _rename(source: str, target: str, request: Move) -> bool:
    try:
        return _rename_or_copy(source, target, request)
    except FileNotFoundError:
        # The first of its chunk; asking for the folder each time would cost as much as the move.
        os.makedirs(os.path.dirname(target), exist_ok=True)
        return _rename_or_copy(source, target, request)


def _rename_or_copy(source: str, target: str, request: Move) -> bool:
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return _copy(source, target, request)
    if _is_at(target, request):
        return True
    # It was replaced between the look and the rename: the newer file goes back, unless a third one is there.
    os.link(target, source)
    os.unlink(target)
    return False


def _copy(source: str, target: str, request: Move) -> bool:
    """Copy to another file system under a name of our own, so that the target is whole or absent.

    The source is removed last, when the copy is on the disk and it is still the file that was copied.
    """
    folder = os.path.dirname(target)
    partial = os.path.join(folder, f".{request.image_id}.{uuid.uuid4().hex}.part")
    try:
        shutil.copy2(source, partial)
        if not _is_at(source, request):
            return False
        _sync(partial)
        os.rename(partial, target)
        _sync(folder)
    finally:
        if os.path.lexists(partial):
            os.unlink(partial)
    if _is_at(source, request):
        os.unlink(source)
        _sync(os.path.dirname(source))
    return True
