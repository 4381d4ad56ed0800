"""What a person searches for among images."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from returns_pipeline.records.images import ImageState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from returns_pipeline.records.images import ImageResult

#: Matches are counted up to this number.
MOST_COUNTED = 10_000


class Flag(StrEnum):
    """A state that images have beside their ImageState."""

    UNSURE = "unsure"
    REVIEWED = "reviewed"
    CORRECTED = "corrected"
    UNFAMILIAR = "unfamiliar"


class Term(NamedTuple):
    """A part of a file name or folder, folded; or the image with the id `number`.

    A text of one or two characters is the beginning of a file name.
    """

    text: str
    number: int | None = None


class Search(NamedTuple):
    """What an image must fulfil: all `terms` and `flags`, and one of each other field that is not empty.

    `labels` are final labels. `since` is inclusive, `until` exclusive; both are aware. `meanings` says how
    the words were understood: pairs of a kind, a key of `report.words.SEARCHED`, and a text.
    """

    terms: tuple[Term, ...] = ()
    images: tuple[int, ...] = ()
    runs: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    states: tuple[ImageState, ...] = ()
    outcomes: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    meanings: tuple[tuple[str, str], ...] = ()


class Place(NamedTuple):
    """Where a page begins: after the image `after`, or, with `backwards`, it ends before that image."""

    after: int
    backwards: bool = False


class Found(NamedTuple):
    """A page of images, the places of the pages around it, and the number of all matches.

    `total` is at least this many if `has_more`.
    """

    images: "Sequence[ImageResult]"
    total: int
    has_more: bool
    previous: Place | None
    next: Place | None
