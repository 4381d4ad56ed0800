"""Renames and removals that never replace or delete a file that another process put there meanwhile.

A process may stall between any two calls for longer than its lease. Its next call must then be harmless. It
may also die there. A photo that it has hidden then keeps its name `.returns-taken-OWNER-ID-NAME`, which scans
skip. `hidden_by` finds it for the next attempt of the same owner, an image. If there is no next attempt, a
scan shows the photo again after ABANDONED_NS.
"""

import contextlib
import ctypes
import errno
import os
import uuid
from collections.abc import Callable, Iterable

from returns_pipeline.photos.intake_rules import OWN_PREFIX

#: Flags and directory of renameat2, from linux/fs.h and linux/fcntl.h.
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100
#: The kernel, its sandbox or the file system does not know the call. EPERM is also a sandbox's refusal; if
#: it was a refusal of the file system, the next way fails with the same error.
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.EMLINK}
_MAX_NAME_BYTES = 255
_ID_LENGTH = 16

#: The begin of the name of a hidden photo.
TAKEN = f"{OWN_PREFIX}taken-"
#: A hidden photo that did not change for an hour is not being moved any more.
ABANDONED_NS = 3600 * 10**9

#: None if the C library has no renameat2.
_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


def rename_to_free(source: str, target: str, owner: int) -> None:
    """Rename a file for the image `owner`, unless a file exists at `target`. Both are in one file system.

    Raises FileExistsError; OSError with EXDEV if the file systems differ; OSError with ENOTSUP if the file
    system supports neither a rename without replacing (Linux: renameat2) nor hard links.
    """
    try:
        _rename_no_replace(source, target)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        _link_and_remove(source, target, owner)


def _link_and_remove(source: str, target: str, owner: int) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), source) from error
    remove_if(source, owner, lambda taken: os.path.samestat(os.lstat(taken), os.lstat(target)))


def remove_if(path: str, owner: int, is_expected: Callable[[str], bool]) -> None:
    """Delete the file at `path` if `is_expected` is true for it. Do nothing if there is no file.

    A check followed by a deletion could delete a newer file. So the file is first renamed to a hidden name
    that no other process uses, and then checked there.
    """
    taken = _hidden_beside(path, owner)
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, taken)
        settle_hidden(taken, path, owner, is_expected)


def settle_hidden(taken: str, path: str, owner: int, is_expected: Callable[[str], bool]) -> None:
    """Delete the hidden file `taken` if `is_expected` is true for it, else give it its name `path` back.

    After an error it stays hidden for the next attempt of its owner.
    """
    # Another attempt of the same owner may settle it at the same time.
    with contextlib.suppress(FileNotFoundError):
        if is_expected(taken) or _is_linked(taken, path):
            os.unlink(taken)
        else:
            put_back(taken, path, owner)


def _is_linked(taken: str, path: str) -> bool:
    """Whether the file already has its name back, as a second link."""
    return os.path.lexists(path) and os.path.samestat(os.lstat(taken), os.lstat(path))


def hidden_by(names: Iterable[str], owner: int) -> list[str]:
    """Return which of these names are photos that an earlier attempt of `owner` has hidden."""
    prefix = f"{TAKEN}{owner}-"
    return [name for name in names if name.startswith(prefix)]


def show(taken: str) -> None:
    """Give a hidden photo a name that a scan takes: its own, or an unused one beside it."""
    folder, _, name = taken.rpartition("/")
    owner, _, rest = name.removeprefix(TAKEN).partition("-")
    put_back(taken, f"{folder}/{rest[_ID_LENGTH + 1 :] or 'photo'}", int(owner) if owner.isdigit() else 0)


def put_back(taken: str, path: str, owner: int) -> None:
    """Rename `taken` to `path`, or to an unused name beside it if `path` is in use.

    Do nothing if `taken` is gone.
    """
    with contextlib.suppress(FileNotFoundError):
        try:
            rename_to_free(taken, path, owner)
        except OSError as error:
            if error.errno not in {errno.EEXIST, errno.ENOTSUP}:
                raise
            os.rename(taken, unique_beside(path))


def unique_beside(path: str) -> str:
    """Return an unused name in the folder of `path`. It ends like `path`, so that a scan takes the file."""
    return _beside(path, f"{uuid.uuid4().hex[:_ID_LENGTH]}-")


def _hidden_beside(path: str, owner: int) -> str:
    return _beside(path, f"{TAKEN}{owner}-{uuid.uuid4().hex[:_ID_LENGTH]}-")


def _beside(path: str, prefix: str) -> str:
    """Return `path` with a prefix. A name that would be too long loses its beginning."""
    folder, _, name = path.rpartition("/")
    kept = os.fsencode(name)[-(_MAX_NAME_BYTES - len(prefix)) :]
    return f"{folder}/{os.fsdecode(prefix.encode() + kept)}"


def _rename_no_replace(source: str, target: str) -> None:
    if _renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), source)
    old, new = os.fsencode(source), os.fsencode(target)
    if _renameat2(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), source, None, target)
