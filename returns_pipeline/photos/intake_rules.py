"""Rules of an intake: which names are skipped, when a photo has settled, which folders are refused."""

import fnmatch
import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from returns_pipeline.errors import RefusedError, TransientFault
from returns_pipeline.records.images import FoundFile
from returns_pipeline.settings import SKIP_PATTERNS, Settings, sqlite_file

#: Suffixes that browsers, cameras and copy programs give a file while they write it.
PARTIAL_SUFFIXES = (".part", ".partial", ".tmp", ".crdownload", ".filepart", "~")

#: The names of this program's own files in an intake, which exist for a moment. Not counted as skipped.
OWN_PREFIX = ".returns-"

#: The folder of an intake in which uploads arrive. A scan skips it.
ARRIVING = f"{OWN_PREFIX}uploads"
#: An upload that does not go on for this long is given up.
UPLOAD_LASTS = timedelta(days=1)
#: Unfinished uploads of an intake.
MOST_ARRIVING = 1000

_WILDCARD = re.compile(r"[*?\[]")
#: A pattern that only compares the end of a name.
_SUFFIX = re.compile(r"\*[^*?\[]+")


class SkipRule:
    """Decides by name which files and folders are left out of an intake, and counts them.

    Left out are hidden names, unfinished copies, and names that fit a pattern of `fnmatch`. A folder counts
    as one. Called once for each name of an intake, so most patterns are compared as plain text.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        """Prepare the patterns; upper and lower case are the same."""
        lower = [pattern.lower() for pattern in patterns]
        self._names = {pattern for pattern in lower if not _WILDCARD.search(pattern)}
        suffixes = [pattern[1:] for pattern in lower if _SUFFIX.fullmatch(pattern)]
        self._suffixes = (*PARTIAL_SUFFIXES, *suffixes)
        others = [each for each in lower if _WILDCARD.search(each) and not _SUFFIX.fullmatch(each)]
        self._other = re.compile("|".join(map(fnmatch.translate, others))) if others else None
        #: How many names were left out so far.
        self.count = 0

    def __call__(self, name: str) -> bool:
        """Whether the file or folder of this name is left out."""
        lower = name.lower()
        if (
            name.startswith(".")
            or lower.endswith(self._suffixes)
            or lower in self._names
            or (self._other is not None and self._other.match(lower))
        ):
            self.count += not name.startswith(OWN_PREFIX)
            return True
        return False


#: The rule of an installation that does not set RETURNS_SKIP_PATTERNS.
is_skipped = SkipRule(SKIP_PATTERNS)


def is_settled(file: FoundFile, settle_seconds: float) -> bool:
    """Whether the photo did not change for `settle_seconds`, by the clock of the place where it lies.

    False if that clock is unknown. Uses the time of the last change, not the modification time: copy programs
    set the latter back.
    """
    if settle_seconds == 0:
        return True
    return file.now_ns is not None and file.now_ns - file.changed_ns >= settle_seconds * 1e9


def is_same(file: FoundFile, before: FoundFile) -> bool:
    """Whether two looks at a photo see the same content: size, times, identity and allocated space."""
    return file._replace(now_ns=None) == before._replace(now_ns=None)


def too_many_unfinished() -> TransientFault:
    """Return the fault of an intake with MOST_ARRIVING unfinished uploads."""
    return TransientFault("Too many uploads are unfinished.", "Finish some of them first.")


def refuse_own_folders(root: Path, settings: Settings) -> None:
    """Raise RefusedError if `root` contains a file of this installation, or lies in one of its folders.

    Links are followed on both sides.
    """
    folders = {
        "the archive": settings.archive_dir,
        "the quarantine": settings.quarantine_dir,
        "the reports": settings.report_dir,
        "the spool of the web": settings.spool_dir,
        "the models": settings.models_dir,
        "the logs": settings.home / "logs",
        "the thumbnails": settings.home / "thumbnails",
        "the files of Redis": settings.home / "redis",
    }
    for name, folder in folders.items():
        own = folder.resolve()
        if own.is_relative_to(root) or root.is_relative_to(own):
            raise _own_folder(root, f"{name} ({folder})")
    files = {
        "the program's own files": settings.home,
        "the program": Path(__file__).parents[1],
        "the web's secret": settings.home / "web-secret",
        "the schedule of beat": settings.home / "beat-schedule",
    }
    if database := sqlite_file(settings.database_url):
        files["the database"] = database
    for name, file in files.items():
        if file.resolve().is_relative_to(root):
            raise _own_folder(root, f"{name} ({file})")


def _own_folder(root: Path, what: str) -> RefusedError:
    return RefusedError(
        "{root} cannot be scanned: {what} would be classified as returned items.",
        "Name a folder that contains only photos.",
        root=root,
        what=what,
    )
