"""The intake folder as a stream of files. Nothing is held in memory but one folder's handle a level."""

import os
from collections.abc import Iterator
from pathlib import Path

from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.records import FoundFile

#: Endings that browsers, cameras and copy programs give a file while they are still writing it.
PARTIAL_SUFFIXES = (".part", ".partial", ".tmp", ".crdownload", ".filepart", "~")


def require_folder(root: Path) -> None:
    """Raise ConfigFault unless `root` is a folder that can be listed."""
    if not root.is_dir():
        raise ConfigFault(
            f"The intake folder {root} does not exist.",
            advice="Create it, or set RETURNS_INCOMING_DIR to the folder where the photos arrive.",
        )
    if not os.access(root, os.R_OK | os.X_OK):
        raise ConfigFault(
            f"The intake folder {root} cannot be read.",
            advice="Give the workers' user permission to list it.",
        )


def find_files(root: Path) -> Iterator[FoundFile]:
    """Yield every regular file under `root`, folder by folder, in no particular order.

    Left out: hidden names, names that end as unfinished copies do, and symbolic links, which could lead
    out of the folder or in a circle. A file that goes away meanwhile is passed over. Raises TransientFault
    when `root` itself cannot be listed.
    """
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            entries = os.scandir(folder)
        except OSError as error:
            if folder == root:
                raise TransientFault(
                    f"The intake folder {root} cannot be listed: {error.strerror}."
                ) from error
            continue
        with entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.lower().endswith(PARTIAL_SUFFIXES):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False) and (found := _found(entry)):
                    yield found


def describe(path: Path) -> FoundFile:
    """Return one named file as the intake would see it. A file that is not there has size and time 0.

    It then becomes a row that is quarantined as vanished, so that a request never loses a name.
    """
    try:
        stat = path.stat()
    except OSError:
        return FoundFile(path, 0, 0, 0)
    return FoundFile(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def is_settled(file: FoundFile, now_ns: int, settle_seconds: float) -> bool:
    """Whether nothing about the file changed for `settle_seconds` before `now_ns`.

    The inode's change time is asked, not the modification time: copy programs set the latter back.
    """
    return settle_seconds == 0 or now_ns - file.ctime_ns >= settle_seconds * 1e9


def _found(entry: os.DirEntry[str]) -> FoundFile | None:
    try:
        stat = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return FoundFile(Path(entry.path), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
