"""Models: their versions, what they take, how sure they must be."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from returns_pipeline.records.stored_enum import StoredEnum


class ModelStage(StoredEnum):
    """Where a model's version stands: it waits, it works at night, it has worked."""

    CANDIDATE = "candidate"
    ACTIVE = "active"
    ARCHIVED = "archived"
    UNKNOWN = "unknown"


class ModelAction(StoredEnum):
    """What can be done to a model.

    `first use`: a run made the highest version on disk the active one. `shadow`: a version answers for a part
    of each night beside the active one, or does so no more.
    """

    REGISTER = "register"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    FIRST_USE = "first use"
    SHADOW = "shadow"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ModelRef:
    """One version of one model, as `NAME/VERSION`."""

    name: str
    version: int

    def __str__(self) -> str:
        """Return `NAME/VERSION`."""
        return f"{self.name}/{self.version}"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the table of models keeps of a bundle: `sha256` is the digest of the whole."""

    ref: ModelRef
    sha256: str
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One version of a model as its table has it.

    `shadow_share` is the part of each night's images that it answers beside the active version.
    """

    facts: ModelFacts
    stage: ModelStage
    created_at: datetime
    shadow_share: float | None


@dataclass(frozen=True, slots=True)
class ModelChange:
    """One change of a model: `before` and `after` are versions, None for none."""

    changed_at: datetime
    action: ModelAction
    who: str
    name: str
    before: int | None
    after: int | None
    forced: bool
    reason: str


class PredictionPair(NamedTuple):
    """What two versions of a model say of one image; `after` is None where the second has no answer."""

    path: str
    before: str
    after: str | None


@dataclass(frozen=True, slots=True)
class ImageInput:
    """What a model takes: `height` x `width` pixels of 1 (grey) or 3 (RGB) `channels`, uint8."""

    height: int
    width: int
    channels: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels


@dataclass(frozen=True, slots=True)
class WantedPrecision:
    """A share of right answers, 0 < `precision` <= 1, that the answers which no person sees must reach."""

    precision: float

    def __str__(self) -> str:
        """Return it as it is written in the settings: `precision:0.98`."""
        return f"precision:{self.precision}"


#: From which probability on an answer stands by itself: one for all labels, or what reaches a precision.
ReviewThreshold = float | WantedPrecision
