"""Moves files between folders of this machine. Safe to repeat after any interruption.

Plain strings and `os` instead of `Path`: this runs once for every photo.
"""

import contextlib
import errno
import filecmp
import os
import shutil
import uuid
from collections.abc import Callable, Iterable

from returns_pipeline.errors import ConfigFault, PipelineError, TransientFault
from returns_pipeline.photos import folder_renames
from returns_pipeline.photos.file_identity import identity_of, is_copy
from returns_pipeline.photos.source import ImmovableFault, another_photo, raise_first
from returns_pipeline.private_files import make_folder
from returns_pipeline.records.images import Move

#: The end of the name of a file that is between its source and its destination.
_STAGED = ".moving"
#: A file or its folder refuses a move: permissions, another owner, an immutable file, a read-only file
#: system, a file that is mounted or that another machine has open.
_REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.ETXTBSY}

#: Folders of runs whose own entry is durable, with their inodes: a folder that is made again has another one.
_durable: dict[str, int] = {}


def move_all(moves: Iterable[Move], progress: Callable[[], None]) -> list[int]:
    """Move files and make the moves durable. See PhotoSource.move."""
    gone: list[int] = []
    faults: list[PipelineError] = []
    immovable: dict[int, ImmovableFault] = {}
    moved: set[str] = set()
    listings = _Listings()
    for request in moves:
        progress()
        folder, _, name = request.destination.rpartition("/")
        try:
            is_free = name not in listings.names(folder)
            if move(request, is_free=is_free):
                moved.add(folder)
            else:
                gone.append(request.image_id)
            _settle_hidden(request, listings, is_free=is_free)
        except ImmovableFault as fault:
            immovable[request.image_id] = fault
        except PipelineError as fault:
            faults.append(fault)
    if faults:
        raise faults[0]
    _sync_all(moved)
    raise_first(gone, (), immovable)
    return gone


def move(request: Move, *, is_free: bool = False) -> bool:
    """Move one file, across file systems too; return whether it is at its destination now.

    True also if an earlier attempt or another process has moved it. False: the file that was classified is no
    longer at its source, and a newer file of the same name stays there. `is_free`: a recent listing shows no
    file at the destination, so it is not checked again.

    Raises TransientFault if the disk fails, ConfigFault if another file is at the destination, ImmovableFault
    if the file may not be moved away from its source.
    """
    source, target = request.source, request.destination
    try:
        if not is_free and os.path.lexists(target):
            return _finish(source, target, request)
        if not _is_at(source, request):
            # Check again: another process may have moved it between the two checks.
            return _is_moved(source, target, request)
        return _rename(source, target, request)
    except OSError as error:
        if error.errno in _REFUSALS and _takes_files(request):
            raise ImmovableFault(
                "The photo stays in {folder}, because it cannot be moved: {reason}.",
                "Let the workers' user write in that folder.",
                folder=os.path.dirname(source),
                reason=error.strerror,
            ) from error
        raise TransientFault(
            "{source} cannot be moved to {target}: {reason}.",
            "Make room, or give the workers' user permission to write there; the sweep tries again.",
            source=source,
            target=target,
            reason=error.strerror,
        ) from error


class _Listings:
    """The names in folders, each listed once, when it is first needed."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}
        self._hidden: dict[str, list[str]] = {}

    def names(self, folder: str) -> set[str]:
        """Return every name in a folder. Raises TransientFault if it cannot be listed."""
        if folder not in self._names:
            self._names[folder] = _names(folder)
        return self._names[folder]

    def hidden(self, folder: str) -> list[str]:
        """Return the hidden names in a folder."""
        if folder not in self._hidden:
            self._hidden[folder] = [name for name in self.names(folder) if name.startswith(".")]
        return self._hidden[folder]


def _settle_hidden(request: Move, listings: _Listings, *, is_free: bool) -> None:
    """Finish what earlier attempts of this move left hidden when they were interrupted.

    In the intake they can have left something only after the photo was at its destination, so that a first
    attempt does not list the intake.
    """
    source, target = request.source, request.destination
    staged = _staged_prefix(target, request).rpartition("/")[2]
    for place in (target,) if is_free else (target, source):
        folder = os.path.dirname(place)
        try:
            for name in folder_renames.hidden_by(listings.hidden(folder), request.image_id):
                folder_renames.settle_hidden(
                    f"{folder}/{name}",
                    source,
                    request.image_id,
                    lambda taken: _has_content_of(taken, request),
                )
            for name in listings.hidden(folder) if place == target else ():
                if name.startswith(staged) and name.endswith(_STAGED):
                    _unstage(f"{folder}/{name}", source, target, request)
                elif name.startswith(staged):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(f"{folder}/{name}")  # an unfinished copy
        except OSError as error:
            raise TransientFault(
                "What an interrupted move left in {folder} cannot be renamed: {reason}.",
                folder=folder,
                reason=error.strerror,
            ) from error


def _has_content_of(taken: str, request: Move) -> bool:
    """Whether a hidden file is the classified one, or another link to the newer one at its source."""
    source, target = request.source, request.destination
    if os.path.lexists(source) and os.path.samestat(os.lstat(taken), os.lstat(source)):
        return True
    if not os.path.lexists(target) or not _is_copy_at(taken, request):
        return False
    return filecmp.cmp(taken, target, shallow=False)


def _takes_files(request: Move) -> bool:
    """Whether a file can be written to the destination, so that only the source can have refused a move."""
    probe = f"{_staged_prefix(request.destination, request)}{uuid.uuid4().hex}.part"
    try:
        make_folder(os.path.dirname(probe))
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.unlink(probe)
    except OSError:
        return False
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
    for folder in folders:
        try:
            run = os.path.dirname(folder)
            _sync(folder)
            _sync(run)
            inode = os.stat(run).st_ino
            if _durable.get(run) != inode:
                _sync(os.path.dirname(run))
                _durable[run] = inode
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


def _is_copy_at(path: str, request: Move) -> bool:
    """Whether the file that was classified, or a copy of it, is at `path`."""
    try:
        return is_copy(os.lstat(path), request.identity)
    except FileNotFoundError:
        return False


def _finish(source: str, target: str, request: Move) -> bool:
    """Finish a move whose destination exists: an interrupted one, or one of another process.

    Raises ConfigFault if the file at the destination is another one.
    """
    if not is_copy(os.lstat(target), request.identity):
        raise another_photo(target)
    if _is_at(source, request):
        folder_renames.remove_if(
            source, request.image_id, lambda taken: filecmp.cmp(taken, target, shallow=False)
        )
    return True


def _rename(source: str, target: str, request: Move) -> bool:
    try:
        return _rename_or_copy(source, target, request)
    except FileNotFoundError:
        # The first file of its chunk. Checking for the folder each time would cost as much as the move.
        make_folder(os.path.dirname(target))
    try:
        return _rename_or_copy(source, target, request)
    except FileNotFoundError:
        # Another process moved the file after it was seen at its source.
        return _is_moved(source, target, request)


def _rename_or_copy(source: str, target: str, request: Move) -> bool:
    try:
        try:
            folder_renames.rename_to_free(source, target, request.image_id)
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
            return _stage(source, target, request)
    except FileExistsError:
        return _finish(source, target, request)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return _copy(source, target, request)
    if _is_at(target, request):
        return True
    # The file was replaced between the check and the rename: the newer file goes back.
    folder_renames.put_back(target, source, request.image_id)
    return False


def _stage(source: str, target: str, request: Move) -> bool:
    """Rename in two steps, where the file system can neither rename without replacing nor link.

    The first step takes the file under a name that no other process uses. A process that then holds the
    classified photo is the only one that holds it, so no other process can have put it at the target.
    """
    if os.path.lexists(target):
        return _finish(source, target, request)
    staged = f"{_staged_prefix(target, request)}{uuid.uuid4().hex}{_STAGED}"
    os.rename(source, staged)
    return _unstage(staged, source, target, request)


def _unstage(staged: str, source: str, target: str, request: Move) -> bool:
    """Move a staged file to the target, or back to its source if it is not the classified one."""
    if not _is_at(staged, request):
        folder_renames.put_back(staged, source, request.image_id)
        return _is_copy_at(target, request)
    if os.path.lexists(target):
        try:
            return _finish(staged, target, request)
        except ConfigFault:
            folder_renames.put_back(staged, source, request.image_id)
            raise
    with contextlib.suppress(FileNotFoundError):  # another process recovered it
        os.rename(staged, target)
    return _is_copy_at(target, request)


def _is_moved(source: str, target: str, request: Move) -> bool:
    """Whether the file is at its destination. First finishes a move that was interrupted while staged."""
    if _is_copy_at(target, request):
        return True
    folder, _, prefix = _staged_prefix(target, request).rpartition("/")
    staged = [name for name in _names(folder) if name.startswith(prefix) and name.endswith(_STAGED)]
    moved = [_unstage(f"{folder}/{name}", source, target, request) for name in staged]
    return any(moved)


def _staged_prefix(target: str, request: Move) -> str:
    return f"{target.rpartition('/')[0]}/.{request.image_id}."


def _copy(source: str, target: str, request: Move) -> bool:
    """Copy to another file system under a temporary name, so that the target is complete or absent.

    The source is removed last, once the copy is on the disk and the source is still the file that was copied.
    """
    folder = os.path.dirname(target)
    if not os.access(os.path.dirname(source), os.W_OK | os.X_OK):
        # Without this check, each attempt would leave a copy of a file that cannot be removed.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), source)
    partial = f"{_staged_prefix(target, request)}{uuid.uuid4().hex}.part"
    try:
        shutil.copy2(source, partial)
        if not _is_at(source, request):
            return _is_copy_at(target, request)
        _sync(partial)
        try:
            folder_renames.rename_to_free(partial, target, request.image_id)
        except FileExistsError:
            return _finish(source, target, request)
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
            if os.path.lexists(target):
                return _finish(source, target, request)
            # What another process puts there meanwhile is a copy of the same photo.
            os.rename(partial, target)
        _sync(folder)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
    folder_renames.remove_if(source, request.image_id, lambda taken: _is_at(taken, request))
    _sync(os.path.dirname(source))
    return True
