"""Writes a file as a whole: if that fails, an earlier file of the same name stays as it was."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from returns_pipeline.errors import TransientFault
from returns_pipeline.private_files import make_folder


@contextmanager
def whole_file(path: Path, advice: str = "Free some disk space, or choose another folder.") -> Iterator[Path]:
    """Yield a path to write to, and rename it to `path` when the block ends; create the folder if needed.

    Raises TransientFault with the `advice` when the file system refuses.
    """
    partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.part{path.suffix}")
    try:
        make_folder(path.parent)
        try:
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise TransientFault(
            "{path} cannot be written: {reason}.",
            advice=advice,
            path=path,
            reason=error.strerror or error,
        ) from error


def remove_partial_files(folder: Path) -> None:
    """Delete what killed processes left half written in a folder that no other process writes to."""
    for partial in folder.glob(f".*.{'[0-9a-f]' * 32}.part*"):
        partial.unlink(missing_ok=True)
