"""Models: versions, changes, inputs, review thresholds."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from returns_pipeline.records.stored_enum import StoredEnum


class ModelStage(StoredEnum):
    """The stage of a model version: not used yet, used by new runs, used earlier."""

    CANDIDATE = "candidate"
    ACTIVE = "active"
    ARCHIVED = "archived"
    UNKNOWN = "unknown"


class ModelAction(StoredEnum):
    """A change of a model.

    `first use`: a run activated the highest version on disk. `shadow`: a version became the shadow,
    or the shadow ended.
    """

    REGISTER = "register"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    FIRST_USE = "first use"
    SHADOW = "shadow"
    UNKNOWN = "unknown"


class Precision(StrEnum):
    """The numbers in which a model's export computes."""

    FLOAT32 = "float32"
    INT8 = "int8"


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
    """The facts of a bundle in the table of models; `sha256` is the digest of the whole bundle."""

    ref: ModelRef
    sha256: str
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A version in the table of models.

    `shadow_share`, 0 to 1, is the share of each night's images that it predicts as a shadow.
    """

    facts: ModelFacts
    stage: ModelStage
    created_at: datetime
    shadow_share: float | None


@dataclass(frozen=True, slots=True)
class ModelChange:
    """A change of a model; `before` and `after` are version numbers or None."""

    changed_at: datetime
    action: ModelAction
    who: str
    name: str
    before: int | None
    after: int | None
    forced: bool
    reason: str


class PredictionPair(NamedTuple):
    """The labels that two versions predict for an image; `after` is None if the second has no prediction."""

    path: str
    before: str
    after: str | None


@dataclass(frozen=True, slots=True)
class ImageInput:
    """A model's input: `height` x `width` pixels of 1 (grey) or 3 (RGB) `channels`, uint8."""

    height: int
    width: int
    channels: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels


@dataclass(frozen=True, slots=True)
class FamiliarityShape:
    """What bundle.json says of the file with what a model's training photos look like.

    `features` of the network are described in `rank` dimensions; `photos` validation photos are measured.
    `sha256` is the file's, in hex. See classify.familiarity.
    """

    features: int
    rank: int
    photos: int
    sha256: str


@dataclass(frozen=True, slots=True)
class WantedPrecision:
    """The share of right predictions, 0 < `precision` <= 1, among those that no reviewer checks."""

    precision: float

    def __str__(self) -> str:
        """Return it as it is written in the settings: `precision:0.98`."""
        return f"precision:{self.precision}"


#: The probability from which a prediction needs no review: one for all labels, or chosen for a precision.
ReviewThreshold = float | WantedPrecision
