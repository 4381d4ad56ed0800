"""Photos that show the picture of an earlier photo."""

from datetime import datetime
from typing import NamedTuple

from returns_pipeline.records.stored_enum import StoredEnum

#: More than there are views of a photo, see photos.likeness.keys.
VIEWS = 256


class MatchKind(StoredEnum):
    """How two photos are the same: equal files, or the same picture."""

    EXACT = "exact"
    NEAR = "near"
    UNKNOWN = "unknown"


class MatchDecision(StoredEnum):
    """What a person decided about a match: the photos are the same, or they are different."""

    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"
    UNKNOWN = "unknown"


class PhotoChange(StoredEnum):
    """How a photo differs from the earlier photo that it repeats."""

    MIRRORED = "mirrored"
    TURNED = "turned"
    CROPPED = "cropped"
    FRAMED = "framed"
    BRIGHTER = "brighter"
    DARKER = "darker"
    UNKNOWN = "unknown"


class Uncompared(NamedTuple):
    """The photos of a chunk to compare: int64 ids as bytes, and their thumbnails, empty if there are none."""

    image_ids: bytes
    thumbnails: bytes


class ComparedImage(NamedTuple):
    """A photo that others are compared with; `received_day` in days since 1970, UTC.

    `packed_keys` are int64, little-endian, VIEWS * key + view; None without a thumbnail.
    """

    image_id: int
    received_day: int
    sha256_head: int
    thumbnail: bytes | None
    packed_keys: bytes | None = None


class Match(NamedTuple):
    """Two photos that are the same. `distance` is 0 for equal files, else below 1."""

    image_id: int
    earlier_id: int
    kind: MatchKind
    distance: float
    changes: tuple[PhotoChange, ...] = ()


class StoredMatch(NamedTuple):
    """The earliest match of a photo, and what a person decided about it, if anything."""

    match: Match
    matched_at: datetime
    decision: MatchDecision | None
    decided_by: str | None
    decided_at: datetime | None
