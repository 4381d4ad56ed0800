"""Moves files between folders of this machine. Safe to repeat after any interruption.

Plain strings and `os` instead of `Path`: this runs once for every photo.
"""

import errno
import filecmp
import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from returns_pipeline.errors import ConfigFault, PipelineError, TransientFault
from returns_pipeline.photos.file_identity import identity_of, is_copy
from returns_pipeline.records.images import Move


def move_all(moves: Iterable[Move], progress: Callable[[], None]) -> list[int]:
    """Move files and make the moves durable. See PhotoSource.move."""
    gone: list[int] = []
    faults: list[PipelineError] = []
    moved: set[str] = set()
    names_of: dict[str, set[str]] = {}
    for request in moves:
        progress()
        folder, _, name = request.destination.rpartition("/")
        try:
            if folder not in names_of:
                names_of[folder] = _names(folder)
            if move(request, is_free=name not in names_of[folder]):
                moved.add(folder)
            else:
                gone.append(request.image_id)
        except PipelineError as fault:
            faults.append(fault)
    if faults:
        raise faults[0]
    _sync_all(moved)
    return gone


def move(request: Move, *, is_free: bool = False) -> bool:
    """Move one file, across file systems too; return whether it is at its destination now.

    True also if an earlier attempt or another process has moved it. False: the file that was classified is no
    longer at its source, and a newer file of the same name stays there. `is_free`: a recent listing shows no
    file at the destination, so it is not checked again.

    Raises TransientFault if the disk fails, ConfigFault if another file is at the destination.
    """
    source, target = request.source, request.destination
    try:
        if not is_free and os.path.lexists(target):
            _require_same(target, request)
            if _is_at(source, request):
                _remove_copied(source, target)
        elif not _is_at(source, request):
            # Check again: another process may have moved it between the two checks.
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


def _names(folder: str) -> set[str]:
    try:
        return set(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        raise TransientFault(
            "{folder} cannot be listed: {reason}.", folder=folder, reason=error.strerror
        ) from error


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
    """Whether the file that was classified is at `path`."""
    try:
        return identity_of(os.lstat(path)) == request.identity
    except FileNotFoundError:
        return False


def _require_same(target: str, request: Move) -> None:
    """Raise ConfigFault if the file at the destination is another one."""
    if not is_copy(os.lstat(target), request.identity):
        raise ConfigFault(
            "{target} is another file than the one that belongs there.",
            "The folder belongs to another installation or to an older database: set RETURNS_ARCHIVE_DIR and "
            "RETURNS_QUARANTINE_DIR to folders that only this installation uses.",
            target=target,
        )


def _remove_copied(source: str, target: str) -> None:
    """Finish a copy across file systems that was interrupted before its source was removed."""
    if filecmp.cmp(source, target, shallow=False):
        os.unlink(source)


def _rename(source: str, target: str, request: Move) -> bool:
    try:
        return _rename_or_copy(source, target, request)
    except FileNotFoundError:
        # The first file of its chunk. Checking for the folder each time would cost as much as the move.
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
    # The file was replaced between the check and the rename: the newer file goes back to the source, unless
    # a third one is there by now.
    os.link(target, source)
    os.unlink(target)
    return False


def _copy(source: str, target: str, request: Move) -> bool:
    """Copy to another file system under a temporary name, so that the target is complete or absent.

    The source is removed last, once the copy is on the disk and the source is still the file that was copied.
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
