"""Removes photos from folders of this machine: each only if it is the very file that is recorded.

No link below a root is followed. A file is first renamed to a hidden name that contains its image's id,
checked there and then removed. So a newer file of the same name is never removed, and a repeated attempt
finds what an interrupted one has renamed.
"""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence

from returns_pipeline.errors import FaultCode, ImageFault, PipelineError, TransientFault
from returns_pipeline.photos.file_identity import is_copy
from returns_pipeline.photos.intake_rules import OWN_PREFIX
from returns_pipeline.records.removal import StoredFile

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
#: A link, or a file, in place of a folder.
_NO_FOLDER = {errno.ELOOP, errno.ENOTDIR}
_BLOCK = 1024 * 1024


def remove_all(files: Sequence[StoredFile]) -> dict[int, bool | PipelineError]:
    """Remove files durably; return a result by image. See PhotoSource.remove_originals."""
    results: dict[int, bool | PipelineError] = {}
    by_folder: dict[tuple[str, str], list[StoredFile]] = {}
    for file in files:
        by_folder.setdefault((file.root, file.path.rpartition("/")[0]), []).append(file)
    for (root, folder), those in by_folder.items():
        try:
            with _opened(root, folder) as descriptor:
                for file in those:
                    results[file.image_id] = _result(descriptor, file)
                os.fsync(descriptor)
        except FileNotFoundError:
            results |= {file.image_id: False for file in those}
        except PipelineError as fault:
            results |= {file.image_id: fault for file in those}
        except OSError as error:
            results |= {file.image_id: _fault(folder, error) for file in those}
    return results


def remove_empty(folders: Iterable[str], root: str) -> None:
    """Remove those of these folders, and of the folders above them up to `root`, that are empty."""
    for folder in folders:
        while folder.startswith(f"{root}/"):
            try:
                os.rmdir(folder)
            except OSError:
                break
            folder = folder.rpartition("/")[0]


@contextlib.contextmanager
def _opened(root: str, folder: str) -> Iterator[int]:
    """Give the open folder `folder` below `root`. Raises FileNotFoundError if only `folder` is gone."""
    names = folder[len(root) :].strip("/").split("/") if folder != root else []
    if (folder != root and not folder.startswith(f"{root}/")) or {"..", ".", ""} & set(names):
        raise ImageFault(FaultCode.CHANGED, "The file does not lie in its folder.")
    try:
        descriptor = os.open(root, _FOLDER)
    except OSError as error:
        raise _fault(root, error) from error
    try:
        for number, name in enumerate(names):
            try:
                inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
            except FileNotFoundError:
                if not number and not os.listdir(descriptor):
                    raise TransientFault(
                        "The folder {root} is empty.", "Check that its disk is mounted.", root=root
                    ) from None
                raise
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _result(folder: int, file: StoredFile) -> bool | PipelineError:
    try:
        return _remove(folder, file)
    except PipelineError as fault:
        return fault
    except OSError as error:
        return _fault(file.path, error)


def _remove(folder: int, file: StoredFile) -> bool:
    """Remove one file; return False if it is gone."""
    name, hidden = file.path.rpartition("/")[2], f"{OWN_PREFIX}removing-{file.image_id}"
    if _is_recorded(folder, hidden, file) is not None:
        os.unlink(hidden, dir_fd=folder)
        return True
    found = _is_recorded(folder, name, file)
    if found is None:
        return False
    try:
        os.rename(name, hidden, src_dir_fd=folder, dst_dir_fd=folder)
    except FileNotFoundError:
        raise TransientFault("Another process removes the file now.") from None
    if not os.path.samestat(os.lstat(hidden, dir_fd=folder), found):
        # It was replaced after the check: the other file gets its name back.
        os.link(hidden, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        os.unlink(hidden, dir_fd=folder)
        raise ImageFault(FaultCode.CHANGED)
    os.unlink(hidden, dir_fd=folder)
    return True


def _is_recorded(folder: int, name: str, file: StoredFile) -> os.stat_result | None:
    """Return the status of the recorded file at `name`; None if there is none.

    Raises ImageFault if another file lies there: a link, another size or time, another content.
    """
    try:
        status = os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode) or not is_copy(status, file.identity):
        raise ImageFault(FaultCode.CHANGED)
    if file.sha256 is None:
        return status
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(descriptor, "rb", buffering=0) as content:
        if not os.path.samestat(os.fstat(descriptor), status):
            raise ImageFault(FaultCode.CHANGED)
        digest = hashlib.sha256()
        while block := content.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != file.sha256:
        raise ImageFault(FaultCode.CHANGED)
    return status


def _fault(path: str, error: OSError) -> PipelineError:
    if error.errno in _NO_FOLDER:
        return ImageFault(FaultCode.CHANGED, "A link or a file lies in the place of a folder.")
    return TransientFault(
        "{path} cannot be removed: {reason}.",
        "Give the workers' user permission to write there; the program tries again.",
        path=path,
        reason=error.strerror,
    )
