"""Photos that arrive in parts in a hidden folder of an intake, and become visible when they are complete.

A part that is sent again, or by two processes at the same time, is written once. A scan finds either the
complete file or none.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator

from returns_pipeline.errors import ConflictError, RefusedError, TransientFault
from returns_pipeline.photos.folder_renames import rename_to_free, unique_beside
from returns_pipeline.photos.intake_rules import (
    ARRIVING,
    MOST_ARRIVING,
    UPLOAD_LASTS,
    too_many_unfinished,
)

_BLOCK = 1024 * 1024


def arrived(root: str, key: str) -> int:
    """Return how many bytes of an upload have arrived in the intake `root`; `key` is its file name."""
    try:
        return os.lstat(_partial(root, key)).st_size
    except FileNotFoundError:
        return 0


def add_part(root: str, key: str, size: int, offset: int, content: bytes) -> int:
    """Write a part of an upload of `size` bytes; return how many bytes have arrived now.

    Nothing is written if `offset` is not where the bytes that have arrived end: the caller goes on there.
    Raises RefusedError if the part is longer than the rest, TransientFault if the disk takes no more.
    """
    try:
        with _locked(root, key) as descriptor:
            has = os.fstat(descriptor).st_size
            if offset != has:
                return has
            if has + len(content) > size:
                raise RefusedError("The upload is longer than {size:,} bytes.", size=size)
            written = 0
            while written < len(content):
                written += os.pwrite(descriptor, content[written:], has + written)
            return has + written
    except OSError as error:
        raise _no_room(error) from error


def finish(root: str, key: str, size: int, sha256: str, target: str) -> None:
    """Move a complete upload to `target`, or to an unused name beside it if another file is there.

    It has `size` bytes. Both lie in the intake `root`. Does nothing if another request has done so. Raises
    ConflictError if the content has another sha256, and removes it then; RefusedError if `target` lies
    outside of the intake.
    """
    try:
        with _locked(root, key) as descriptor:
            partial = _partial(root, key)
            if not _is_whole(descriptor, partial, size, sha256):
                return
            os.fsync(descriptor)
            folder = os.path.dirname(target)
            os.makedirs(folder, exist_ok=True)
            real = os.path.realpath(folder)
            if os.path.commonpath([real, root]) != root:
                raise RefusedError("A link leads out of the intake.", "Ask an operator to remove it.")
            _show(partial, f"{real}/{os.path.basename(target)}", sha256)
    except OSError as error:
        raise _no_room(error) from error


@contextlib.contextmanager
def complete(root: str, key: str, size: int, sha256: str) -> Iterator[bytes | None]:
    """Give the content of a complete upload, and remove the upload if the block ends without an error.

    It has `size` bytes. None if another request has done so. Raises ConflictError as `finish`.
    """
    with _locked(root, key) as descriptor:
        partial = _partial(root, key)
        if not _is_whole(descriptor, partial, size, sha256):
            yield None
            return
        yield os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        os.unlink(partial)


def _is_whole(descriptor: int, partial: str, size: int, sha256: str) -> bool:
    """Whether an upload has its content; False if it is finished. Raises ConflictError otherwise."""
    has = os.fstat(descriptor).st_size
    if has == 0:
        os.unlink(partial)
    if has < size:
        # The file was complete before: a third request has begun to send it once more.
        return False
    if _sha256(descriptor) != sha256:
        os.unlink(partial)
        raise ConflictError("The file arrived with another content.", "Send it again.")
    return True


def _show(partial: str, target: str, sha256: str) -> None:
    try:
        rename_to_free(partial, target, 0)
    except OSError as error:
        if error.errno not in {errno.EEXIST, errno.ENOTSUP}:
            raise
        if error.errno == errno.EEXIST and _has_content(target, sha256):
            os.unlink(partial)
            return
        os.rename(partial, unique_beside(target))
    descriptor = os.open(os.path.dirname(target), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(root: str, key: str) -> Iterator[int]:
    """Give the open file of an upload, which one request at a time may change."""
    path = _partial(root, key)
    while True:
        descriptor = _open(root, path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Another request may have finished and moved the file while this one waited.
            if _is_at(path, descriptor):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _open(root: str, path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    try:
        return os.open(path, flags & ~os.O_CREAT)
    except FileNotFoundError:
        folder = f"{root}/{ARRIVING}"
        os.makedirs(folder, exist_ok=True)
        _give_up_old(folder)
        return os.open(path, flags, 0o666)


def _give_up_old(folder: str) -> None:
    count = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > UPLOAD_LASTS.total_seconds():
                    os.unlink(entry.path)
                else:
                    count += 1
    if count >= MOST_ARRIVING:
        raise too_many_unfinished()


def _is_at(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _partial(root: str, key: str) -> str:
    return f"{root}/{ARRIVING}/{key}"


def _has_content(path: str, sha256: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return _sha256(descriptor) == sha256
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _sha256(descriptor: int) -> str:
    digest, at = hashlib.sha256(), 0
    while block := os.pread(descriptor, _BLOCK, at):
        digest.update(block)
        at += len(block)
    return digest.hexdigest()


def _no_room(error: OSError) -> TransientFault:
    return TransientFault(
        "The intake takes no upload: {reason}.",
        "Free some space there, or let the web's user write into the intake.",
        reason=error.strerror or error,
    )
