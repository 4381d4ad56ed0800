"""Bytes that came over HTTP become files that workers can read."""

import re
import uuid
from collections.abc import Iterable
from pathlib import Path

from returns_pipeline.errors import TransientFault
from returns_pipeline.photos.intake import describe
from returns_pipeline.records.images import FoundFile

#: Letters of a sender's file name that stay, from its end.
_KEPT = 60
_STRANGE = re.compile(r"[^A-Za-z0-9._-]")


def write_all(folder: Path, images: Iterable[tuple[str, bytes]]) -> list[FoundFile]:
    """Write (name, content) pairs as files of `folder`, all or none; return them in the same order.

    Raises TransientFault when the disk takes no more.
    """
    request = uuid.uuid4().hex
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, (name, content) in enumerate(images):
            path = folder / f"{request}-{number:06}-{safe_name(name)}"
            written.append(path)
            path.write_bytes(content)
    except OSError as error:
        discard(written)
        raise TransientFault(
            f"The images cannot be kept: {error.strerror}.", "Free some space in RETURNS_SPOOL_DIR."
        ) from error
    return [describe(path) for path in written]


def discard(paths: Iterable[Path | str]) -> None:
    """Delete files that got no row."""
    for path in paths:
        Path(path).unlink(missing_ok=True)


def safe_name(name: str) -> str:
    """Return what of a sender's file name can stand in one of ours: no folder, nothing hidden."""
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = _STRANGE.sub("_", last)
    return kept[-_KEPT:].lstrip(".") or "image"
