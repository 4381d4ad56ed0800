"""Lists the subfolders and the photos of one folder. No photo is opened."""

import errno
import os
from pathlib import Path
from typing import NamedTuple

from returns_pipeline.errors import RefusedError
from returns_pipeline.photos.intake_rules import is_skipped

_OTHER_SUFFIXES = (
    *(".txt", ".csv", ".tsv", ".json", ".jsonl", ".md", ".rst", ".html", ".htm", ".xml", ".xmp", ".aae"),
    *(".yaml", ".yml", ".toml", ".ini", ".log", ".db", ".lnk", ".pdf", ".doc", ".docx", ".xls", ".xlsx"),
    *(".zip", ".tar", ".gz", ".7z", ".rar", ".py", ".ipynb", ".npy", ".npz", ".pkl", ".parquet"),
    *(".mp4", ".mov"),
)
_OTHER_NAMES = {"license", "licence", "readme", "notice", "copying", "checksums", "sha256sums", "icon\r"}


class Listing(NamedTuple):
    """The subfolders and the photos of a folder, sorted by name."""

    folders: list[Path]
    photos: list[Path]


def list_folder(folder: Path, *above: Path) -> Listing:
    """Return the content of a folder, without names that scans skip and files that are evidently no photos.

    Raises RefusedError when the folder cannot be read, or is a link to one of the folders `above` it.
    """
    folders, photos = [], []
    try:
        own = folder.resolve(strict=True)
        if own in {parent.resolve() for parent in above}:
            raise _circle(folder)
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if is_skipped(entry.name):
                    continue
                if entry.is_dir():
                    folders.append(folder / entry.name)
                elif _may_be_photo(entry.name):
                    photos.append(folder / entry.name)
    except (OSError, RuntimeError) as error:
        # Python 3.11 and 3.12 report a circle of links as RuntimeError.
        if isinstance(error, RuntimeError) or error.errno == errno.ELOOP:
            raise _circle(folder) from error
        raise RefusedError(
            "The folder {folder} cannot be read: {reason}.",
            advice="Give this user the permission to list it.",
            folder=folder,
            reason=error.strerror,
        ) from error
    return Listing(folders, photos)


def _circle(folder: Path) -> RefusedError:
    return RefusedError(
        "A symbolic link in {folder} leads in a circle.",
        advice="Remove the link, or replace it with the photos.",
        folder=folder,
    )


def _may_be_photo(name: str) -> bool:
    lower = name.lower()
    return not lower.endswith(_OTHER_SUFFIXES) and lower not in _OTHER_NAMES
