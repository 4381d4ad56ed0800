"""Looks into an intake and its subfolders for what a worker could not read or move away."""

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from returns_pipeline.errors import ConfigFault
from returns_pipeline.photos.folder import FolderSource

#: Where the search of a large intake stops.
_MOST_FOLDERS, _MOST_SECONDS = 10_000, 5.0


@dataclass
class _Found:
    """What a search found. `fixed` are places from which files cannot be moved away."""

    unreadable: list[str] = field(default_factory=list)
    fixed: list[str] = field(default_factory=list)
    folders: int = 0
    is_whole: bool = True


def check_intake(root: Path, is_skipped: Callable[[str], bool]) -> str:
    """Return a line about an intake and its subfolders.

    Stops after 10,000 folders or 5 seconds, and says so. Raises ConfigFault if a folder cannot be read, or if
    files in it cannot be moved away.
    """
    FolderSource().require_folder(str(root))
    found = _search(str(root), is_skipped)
    if found.unreadable:
        raise ConfigFault(
            "Folders of the intake that cannot be read: {count}, for example {example}. Their photos are not "
            "found.",
            "Let the workers' user list them.",
            count=f"{len(found.unreadable):,}",
            example=found.unreadable[0],
        )
    if found.fixed:
        raise ConfigFault(
            "Places of the intake from which photos cannot be moved away: {count}, for example {example}. "
            "Photos are classified there, and then stay.",
            "Let the workers' user write in the folder. If the folder has the sticky bit, the user must also "
            "own the photos.",
            count=f"{len(found.fixed):,}",
            example=found.fixed[0],
        )
    if found.is_whole:
        return str(root) if found.folders == 1 else f"{root} (subfolders: {found.folders - 1:,})"
    return f"{root}; only the first {found.folders:,} folders were examined"


def _search(root: str, is_skipped: Callable[[str], bool]) -> _Found:
    found, folders = _Found(), [root]
    end = time.monotonic() + _MOST_SECONDS
    while folders and found.is_whole:
        if found.folders == _MOST_FOLDERS:
            found.is_whole = False
            break
        folder = folders.pop()
        found.folders += 1
        try:
            folders += _examine(folder, is_skipped, found, end)
        except FileNotFoundError:
            continue
        except OSError:
            found.unreadable.append(folder)
    return found


def _examine(folder: str, is_skipped: Callable[[str], bool], found: _Found, end: float) -> list[str]:
    """Examine one folder; return its subfolders. Raises OSError if it cannot be listed."""
    if not _allows(folder, os.R_OK | os.X_OK):
        raise PermissionError(folder)
    if not _allows(folder, os.W_OK):
        found.fixed.append(folder)
    status, user = Path(folder).stat(), os.geteuid()
    # In such a folder only its owner and the owner of a file may move the file away.
    is_sticky = bool(status.st_mode & stat.S_ISVTX) and user not in {0, status.st_uid}
    subfolders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if time.monotonic() > end:
                found.is_whole = False
                break
            if is_skipped(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                subfolders.append(entry.path)
            elif is_sticky and entry.stat(follow_symlinks=False).st_uid != user:
                found.fixed.append(entry.path)
                is_sticky = False  # one example of each folder is enough
    return subfolders


def _allows(folder: str, mode: int) -> bool:
    # As the effective user, who opens and moves the files.
    return os.access(folder, mode, effective_ids=os.access in os.supports_effective_ids)
