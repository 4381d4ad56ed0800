"""Pictures of products: addresses of the web, or files below a folder. No other file is ever opened."""

import os
import stat
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.languages import N_
from returns_pipeline.records.places import is_object

MOST_OF_ADDRESS = 2000
#: Endings of the names of pictures that are found beside a products file, by the product's id.
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".heic", ".gif")

_LONG = N_("The address of a picture has more than {most} characters.")
_ODD = N_("The address of a picture has a character that cannot be stored.")
_SCHEME = N_("{value} is no address of a picture: use https, or a path below the folder of the file.")
_OUTSIDE = N_(
    "The picture {value} is outside of the folder of the file. Put it below that folder, or set "
    "RETURNS_CATALOGUE_DIR to a folder above it."
)
_NO_FOLDER = N_("The picture {value} is a path, and RETURNS_CATALOGUE_DIR has no such file.")

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: A name that is a pipe must not stop the reader.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Picture(NamedTuple):
    """Where a picture is. `folder` is absolute and without links; None for an address of the web."""

    folder: str | None
    address: str


def picture_of(value: str, folders: tuple[Path, ...]) -> Picture | None:
    """Return where a picture is; None for an empty value. Looks at no content and follows no address.

    A path is below the first of `folders` that has the file, else below the first, or in that one of them
    that is in an object store: asking for each object would cost a request. The URI of an object is taken if
    it is below one of them. Raises ValueError with a sentence for a path that leads out of them, and for
    anything else.
    """
    value = value.strip()
    if not value:
        return None
    if len(value) > MOST_OF_ADDRESS:
        raise ValueError(_LONG.format(most=f"{MOST_OF_ADDRESS:,}"))
    if not value.isprintable():
        raise ValueError(_ODD)
    if value.startswith("//"):
        value = f"https:{value}"
    value, folders = _in_store(value, folders)
    if ":" in value.partition("/")[0]:
        return Picture(None, _web(value))
    path = PurePosixPath(value.replace("\\", "/"))
    if ".." in path.parts:
        raise ValueError(_OUTSIDE.format(value=value[:100]))
    if not folders:
        raise ValueError(_NO_FOLDER.format(value=value[:100]))
    below = [(folder, _below(path, folder)) for folder in folders]
    known = [(folder, found) for folder, found in below if found is not None]
    if not known:
        raise ValueError(_OUTSIDE.format(value=value[:100]))
    in_store = [each for each in known if is_object(str(each[0]))]
    otherwise = (in_store or known)[0]
    folder, address = next(((f, a) for f, a in known if os.path.lexists(f / a)), otherwise)
    return Picture(str(folder), address)


def _in_store(value: str, folders: tuple[Path, ...]) -> tuple[str, tuple[Path, ...]]:
    """Return the path of an object's URI and its folder; anything else as it is."""
    for folder in folders:
        if is_object(str(folder)) and value.startswith(f"{folder}/"):
            return value.removeprefix(f"{folder}/"), (folder,)
    return value, folders


def _web(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_web = parts.scheme.lower() in {"http", "https"} and bool(parts.hostname) and " " not in value
    except ValueError:
        is_web = False
    if not is_web:
        raise ValueError(_SCHEME.format(value=value[:100]))
    return value


def _below(path: PurePosixPath, folder: Path) -> str | None:
    if not path.is_absolute():
        return str(path) if path.parts else None
    is_below = path.is_relative_to(folder) and len(path.parts) > len(folder.parts)
    return str(path.relative_to(folder)) if is_below else None


def read_picture(folder: str, address: str, most_bytes: int) -> bytes:
    """Return the content of a picture below a folder. No part of the address may be a link.

    Raises ImageFault if there is no such file, if it is no plain file, or if it is too large, and
    TransientFault if an object store does not answer.
    """
    if is_object(folder):
        from returns_pipeline.photos.objects import files

        return files.read(f"{folder}/{address}", most_bytes)
    handle = open_picture(folder, address)
    with os.fdopen(handle, "rb") as stream:
        content = stream.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ImageFault(FaultCode.TOO_LARGE)
    if not content:
        raise ImageFault(FaultCode.EMPTY_FILE)
    return content


def stamp_of(folder: str, address: str) -> tuple[str, int]:
    """Return what changes with the content of a picture, and its size in bytes. Raises as `read_picture`."""
    if is_object(folder):
        from returns_pipeline.photos.objects.source import ObjectSource

        found = ObjectSource().describe(f"{folder}/{address}")
        if not found.identity:
            raise ImageFault(FaultCode.VANISHED)
        return found.identity, found.size
    handle = open_picture(folder, address)
    status = os.fstat(handle)
    os.close(handle)
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}", status.st_size


def open_picture(folder: str, address: str) -> int:
    """Open a picture below a folder for reading; return its descriptor, which the caller closes.

    Each folder on the way is opened in the one before, so that nothing can be exchanged for a link in
    between. Raises ImageFault if there is no such file, or if it is no plain file.
    """
    *folders, name = PurePosixPath(address).parts or ("",)
    here = -1
    try:
        here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for each in folders:
            if each in {"..", "/"}:
                raise ImageFault(FaultCode.UNREADABLE)
            inner = os.open(each, _DIRECTORY, dir_fd=here)
            os.close(here)
            here = inner
        if name in {"", "..", "/"}:
            raise ImageFault(FaultCode.UNREADABLE)
        found = os.open(name, _FILE, dir_fd=here)
    except FileNotFoundError as error:
        raise ImageFault(FaultCode.VANISHED) from error
    except (OSError, ValueError) as error:
        raise ImageFault(FaultCode.UNREADABLE) from error
    finally:
        if here >= 0:
            os.close(here)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise ImageFault(FaultCode.UNREADABLE)
    return found
