"""Rules of an intake: which names are skipped, when a photo has settled, which folders are refused."""

from pathlib import Path

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.images import FoundFile
from returns_pipeline.settings import Settings

#: Suffixes that browsers, cameras and copy programs give a file while they write it.
PARTIAL_SUFFIXES = (".part", ".partial", ".tmp", ".crdownload", ".filepart", "~")


def is_skipped(name: str) -> bool:
    """Whether a file or a folder is left out of the intake: a hidden name, or an unfinished copy."""
    return name.startswith(".") or name.lower().endswith(PARTIAL_SUFFIXES)


def is_settled(file: FoundFile, now_ns: int, settle_seconds: float) -> bool:
    """Whether the photo did not change for `settle_seconds` before `now_ns`.

    Uses the time of the last change, not the modification time: copy programs set the latter back.
    """
    return settle_seconds == 0 or now_ns - file.changed_ns >= settle_seconds * 1e9


def refuse_own_folders(root: Path, settings: Settings) -> None:
    """Raise RefusedError if `root` contains a folder of this program or lies inside one."""
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
        "{root} cannot be scanned: {what} would be classified as returned items.",
        "Name a folder that contains only photos.",
        root=root,
        what=what,
    )
