"""Retrainings: a new version of a model from the photos that people reviewed."""

from datetime import datetime
from typing import NamedTuple

from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.stored_enum import StoredEnum


class RetrainingState(StoredEnum):
    """How far a retraining is.

    `proposed`: the new version is right more often than the active one. `not better`: it is not, and stays a
    candidate. `promoted`: the rule of the settings has made it the active one.
    """

    WAITING = "waiting"
    RUNNING = "running"
    PROPOSED = "proposed"
    NOT_BETTER = "not better"
    PROMOTED = "promoted"
    FAILED = "failed"
    UNKNOWN = "unknown"


#: States of a retraining that is not finished.
OPEN_STATES = (RetrainingState.WAITING, RetrainingState.RUNNING)


class RetrainingStep(StoredEnum):
    """What a running retraining does."""

    COLLECTING = "collecting"
    TRAINING = "training"
    QUANTIZING = "quantizing"
    COMPARING = "comparing"
    UNKNOWN = "unknown"


class Judgement(NamedTuple):
    """The new version and the active one on photos that neither was trained on.

    `photos` is their number, and `reviewed` of these come from the desk. `difference` is the new version's
    accuracy minus the active one's, `low` to `high` its 95 % confidence interval, all from -1 to 1. `p` is
    the p-value of McNemar's exact test.
    """

    photos: int
    reviewed: int
    difference: float
    low: float
    high: float
    p: float


class Retraining(NamedTuple):
    """One retraining of a model.

    `base` is the version that was active when it was asked for. `data` is the folder of the old training data
    as it was given, None if it was not. `last_change` is the newest review that it knows, `learned` is how
    many reviewed photos it trained on. `version` is the new version.
    """

    id: int
    uid: str
    name: str
    base: int
    data: str | None
    who: str
    requested_at: datetime
    state: RetrainingState
    step: RetrainingStep | None
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None
    last_change: int
    learned: int
    version: int | None
    judgement: Judgement | None
    fault: str | None

    @property
    def base_ref(self) -> ModelRef:
        """The version that the new one is compared with."""
        return ModelRef(self.name, self.base)

    @property
    def candidate(self) -> ModelRef | None:
        """The new version, None before there is one."""
        return None if self.version is None else ModelRef(self.name, self.version)


class HeldRetraining(NamedTuple):
    """A retraining that this process holds by a lease."""

    id: int
    token: str
