"""The intake folder as a stream of files. Nothing is held in memory but one folder's handle a level."""

import os
from collections.abc import Iterator
from pathlib import Path

import structlog

from returns_pipeline.errors import ConfigFault, RefusedError, TransientFault
from returns_pipeline.records.images import FoundFile
from returns_pipeline.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Endings that browsers, cameras and copy programs give a file while they are still writing it.
PARTIAL_SUFFIXES = (".part", ".partial", ".tmp", ".crdownload", ".filepart", "~")


def require_folder(root: Path) -> None:
    """Raise ConfigFault unless `root` is a folder that can be listed."""
    if not root.exists():
        raise ConfigFault(
            "The folder {root} does not exist.",
            "Create it, or name the folder where the photos arrive: RETURNS_INCOMING_DIR, or `scan --dir`.",
            root=root,
        )
    if not root.is_dir():
        raise ConfigFault(
            "{root} is a file, not a folder.", "Name a folder; `classify` takes single files.", root=root
        )
    if not os.access(root, os.R_OK | os.X_OK):
        raise ConfigFault("The folder {root} cannot be read.", "Let the workers' user list it.", root=root)


def refuse_own_folders(root: Path, settings: Settings) -> None:
    """Raise RefusedError when `root` holds what is this program's own, or lies in it."""
    folders = {
        "the archive": settings.archive_dir,
        "the quarantine": settings.quarantine_dir,
        "the reports": settings.report_dir,
        "the spool of the web": settings.spool_dir,
        "the models": settings.models_dir,
    }
    for name, folder in folders.items():
        own = folder.resolve()
        if own.is_relative_to(root) or root.is_relative_to(own):
            raise _own_folder(root, f"{name} ({folder})")
    if settings.home.resolve().is_relative_to(root):
        raise _own_folder(root, f"the program's own files ({settings.home})")


def _own_folder(root: Path, what: str) -> RefusedError:
    return RefusedError(
        "{root} cannot be scanned: it would take {what} for returned items.",
        "Name a folder that holds nothing but photos.",
        root=root,
        what=what,
    )


def is_there(file: FoundFile) -> bool:
    """Whether the file still lies where it was found, as it was."""
    try:
        now = os.lstat(file.path)
    except OSError:
        return False
    return (now.st_size, now.st_mtime_ns) == (file.size, file.mtime_ns)


def find_files(root: Path) -> Iterator[FoundFile]:
    """Yield every regular file under `root`, folder by folder, in no particular order.

    Left out: hidden names, names that end as unfinished copies do, and symbolic links, which could lead
    out of the folder or in a circle. A file that goes away meanwhile is passed over. Raises TransientFault
    when `root` itself cannot be listed.
    """
    folders = [str(root)]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name.lower().endswith(PARTIAL_SUFFIXES):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False) and (found := _found(entry)):
                        yield found
        except OSError as error:
            if folder == str(root):
                raise TransientFault(
                    "The folder {root} cannot be listed: {reason}.", root=root, reason=error.strerror
                ) from error
            log.warning("folder_skipped", folder=folder, reason=error.strerror)


def describe(path: Path) -> FoundFile:
    """Return one named file, links followed, as the intake would see it; size and time are 0 without a file.

    It then becomes a row that is quarantined as vanished, so that a request never loses a name.
    """
    path = path.resolve()
    try:
        stat = path.stat()
    except OSError:
        return FoundFile(str(path), 0, 0, 0)
    return FoundFile(str(path), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


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
    return FoundFile(entry.path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
