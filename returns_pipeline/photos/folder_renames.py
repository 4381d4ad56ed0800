"""Renames and removals that never replace or delete a file that another process put there meanwhile.

A process may stall between any two calls for longer than its lease. Its next call must then be harmless.
"""

import contextlib
import ctypes
import errno
import os
import uuid
from collections.abc import Callable

#: Flags and directory of renameat2, from linux/fs.h and linux/fcntl.h.
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100
#: The kernel, its sandbox or the file system does not know the call. EPERM is also a sandbox's refusal; if
#: it was a refusal of the file system, the next way fails with the same error.
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.EMLINK}
_MAX_NAME_BYTES = 255

#: None if the C library has no renameat2.
_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


def rename_to_free(source: str, target: str) -> None:
    """Rename a file, unless a file exists at `target`. Both are in one file system.

    Raises FileExistsError; OSError with EXDEV if the file systems differ; OSError with ENOTSUP if the file
    system supports neither a rename without replacing (Linux: renameat2) nor hard links.
    """
    try:
        _rename_no_replace(source, target)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        _link_and_remove(source, target)


def _link_and_remove(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), source) from error
    remove_if(source, lambda taken: os.path.samestat(os.lstat(taken), os.lstat(target)))


def remove_if(path: str, is_expected: Callable[[str], bool]) -> None:
    """Delete the file at `path` if `is_expected` is true for it. Do nothing if there is no file.

    A check followed by a deletion could delete a newer file. So the file is first renamed to a name that no
    other process uses, and then checked there. After an interruption the next scan finds it under that name.
    """
    taken = unique_beside(path)
    try:
        os.rename(path, taken)
    except FileNotFoundError:
        return
    try:
        if is_expected(taken):
            os.unlink(taken)
    finally:
        put_back(taken, path)


def put_back(taken: str, path: str) -> None:
    """Rename `taken` to `path`, or to an unused name beside it if `path` is in use.

    Do nothing if `taken` is gone.
    """
    with contextlib.suppress(FileNotFoundError):
        try:
            rename_to_free(taken, path)
        except OSError as error:
            if error.errno not in {errno.EEXIST, errno.ENOTSUP}:
                raise
            os.rename(taken, unique_beside(path))


def unique_beside(path: str) -> str:
    """Return an unused name in the folder of `path`. It ends like `path`, so that a scan takes the file."""
    folder, _, name = path.rpartition("/")
    prefix = f"{uuid.uuid4().hex[:16]}-".encode()
    kept = os.fsencode(name)[-(_MAX_NAME_BYTES - len(prefix)) :]
    return f"{folder}/{os.fsdecode(prefix + kept)}"


def _rename_no_replace(source: str, target: str) -> None:
    if _renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), source)
    old, new = os.fsencode(source), os.fsencode(target)
    if _renameat2(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), source, None, target)
