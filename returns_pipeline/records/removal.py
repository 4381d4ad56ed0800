"""Deleted images, and photos that are removed because of their age."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

#: The name that a deleted image has in lists and files.
DELETED = "(deleted)"


class StoredFile(NamedTuple):
    """A file that is to be removed, as it was recorded: `size` in bytes, `sha256` None if it was not read.

    `path` lies below the folder `root`, and no link below `root` is followed. `identity` is the one that the
    file was found with, see photos.source.
    """

    image_id: int
    path: str
    root: str
    size: int
    identity: str
    sha256: str | None


class OpenRemoval(NamedTuple):
    """A file of a deleted image that could not be removed yet; `error` is why the last attempt failed."""

    file: StoredFile
    attempts: int
    tried_at: datetime | None
    error: str | None


class Deleted(NamedTuple):
    """What a deletion did: the images, and how many of their files are still to be removed."""

    images: tuple[int, ...]
    files_left: int


class RetentionCounts(NamedTuple):
    """What retention did or would do: numbers of photos, `size` their bytes.

    `archive`, `quarantine` and `spool` are the photos removed from each. `gone` ones were not there any more.
    Kept back: those that are `waiting` for a review, those of open runs, those whose file is another one than
    recorded, and those that could not be removed.
    """

    archive: int = 0
    quarantine: int = 0
    spool: int = 0
    size: int = 0
    gone: int = 0
    waiting: int = 0
    open_runs: int = 0
    different: int = 0
    failed: int = 0

    @property
    def removed(self) -> int:
        """Photos that were removed, from every place."""
        return self.archive + self.quarantine + self.spool

    def plus(self, other: "RetentionCounts") -> "RetentionCounts":
        """Return the sums."""
        return RetentionCounts(*map(sum, zip(self, other, strict=True)))


class RetentionPass(NamedTuple):
    """One pass over the photos older than `keep_days`; `finished_at` is None while it is not finished."""

    id: int
    keep_days: int
    started_at: datetime
    finished_at: datetime | None
    counts: RetentionCounts
    error: str | None


class KeptRun(StrEnum):
    """Why the rows of an old run are kept."""

    HAS_PHOTOS = "has photos"
    STAYS_IN_INTAKE = "stays in intake"
    WAITS_FOR_REVIEW = "waits for review"
    HAS_OPEN_RETURN = "has open return"
    IS_EVIDENCE = "is evidence"
    HAS_FILES_TO_REMOVE = "has files to remove"
    IS_NEWEST = "is newest"


class OldRunCounts(NamedTuple):
    """Old runs whose rows were or would be removed, their photos, and the runs that are kept, by reason."""

    runs: int
    images: int
    kept: Mapping[KeptRun, int]
