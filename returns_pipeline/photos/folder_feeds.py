"""Photos that are fetched into an intake: hidden until they are whole, then under a name of their own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from returns_pipeline.errors import TransientFault
from returns_pipeline.photos.intake_rules import OWN_PREFIX
from returns_pipeline.private_files import make_folder, open_private


@contextmanager
def arriving(root: str, key: str) -> Iterator[BinaryIO]:
    """Give the file in which a photo arrives. At the end of the block it is durable; an error removes it.

    `key` is the photo's own. Raises TransientFault if the file cannot be written.
    """
    path = _hidden(root, key)
    try:
        with open(path, "wb", buffering=0, opener=open_private) as file:
            yield file
            os.fsync(file.fileno())
        _sync(root)
    except OSError as error:
        discard(root, key)
        raise _not_written(error) from error
    except BaseException:
        discard(root, key)
        raise


def discard(root: str, key: str) -> None:
    """Remove what has arrived of a photo."""
    with suppress(OSError):
        os.unlink(_hidden(root, key))


def show(root: str, key: str, place: str) -> None:
    """Give a photo that has arrived its name, `place` below the intake, durably.

    Does nothing if it has that name already, or has been moved on. Raises TransientFault.
    """
    target = f"{root}/{place}"
    try:
        make_folder(os.path.dirname(target))
        with suppress(FileNotFoundError):
            os.rename(_hidden(root, key), target)
        for folder in {os.path.dirname(target), root}:
            _sync(folder)
    except OSError as error:
        raise _not_written(error) from error


def remove_empty_folders(folder: str) -> None:
    """Remove the empty folders in a folder whose photos were moved on."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                os.rmdir(entry.path)


def _hidden(root: str, key: str) -> str:
    return f"{root}/{OWN_PREFIX}feed-{key}"


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_written(error: OSError) -> TransientFault:
    return TransientFault("The photo cannot be written: {reason}.", reason=error.strerror or error)
