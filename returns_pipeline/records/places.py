"""Folders of photos: on this machine, or in an object store."""

import errno
import os
import re
from pathlib import Path, PosixPath
from typing import Any, NoReturn, Self

#: Object stores that photos may lie in.
SCHEMES = ("s3", "gs", "az")
_OBJECT_FOLDER = re.compile(rf"({'|'.join(SCHEMES)})://([^/?#\s]+)((?:/[^/]+)*)/?")


class ObjectFolder(PosixPath):
    """A folder of an object store, `SCHEME://BUCKET/PREFIX`, with the type of any other folder.

    Its text is the URI. Names and parents work as those of every path. No file system has it, so it has no
    file and does not exist; only a `PhotoSource` can list it.
    """

    def __str__(self) -> str:
        """Return the URI."""
        return f"{self.parts[0]}//{'/'.join(self.parts[1:])}"

    def resolve(self, strict: bool = False) -> Self:  # noqa: ARG002 - as in Path
        """Return the folder itself: an object store has no links."""
        return self

    def absolute(self) -> Self:
        """Return the folder itself: a URI is absolute."""
        return self

    def expanduser(self) -> Self:
        """Return the folder itself: a URI has no user's folder."""
        return self

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:  # noqa: ARG002
        """Raise FileNotFoundError."""
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))

    def mkdir(self, *_: Any, **__: Any) -> NoReturn:
        """Raise OSError: a prefix of an object store begins to exist with its first object."""
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), str(self))


def is_object(place: str) -> bool:
    """Whether a place, see photos.source, lies in an object store."""
    return not place.startswith("/") and "://" in place


def root_of(place: str) -> str:
    """Return what relative paths between places must have in common: the bucket; `/` for this machine."""
    return "/".join(place.split("/", 3)[:3]) if is_object(place) else "/"


def folder_of(text: str) -> Path:
    """Return the folder that a text names: a URI of an object store, else a path of this machine.

    Raises ValueError for a URI that names no bucket or another kind of store.
    """
    if not is_object(text):
        return Path(text)
    if not (found := _OBJECT_FOLDER.fullmatch(text)):
        raise ValueError(
            f"should be a folder, or {' or '.join(f'{each}://BUCKET/PREFIX' for each in SCHEMES)}"
        )
    return ObjectFolder(f"{found[1]}:", found[2], *filter(None, found[3].split("/")))
