"""The replies of `/models/NAME/accuracy`."""

from collections.abc import Iterable
from datetime import date
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from returns_pipeline.records.accuracy import RECENT_DAYS, Estimate, ModelAccuracy


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True)


class EstimatedShare(_Body):
    """The share of photos, 0 to 1, for which the model is right, with its 95 % interval."""

    photos: int
    reviewed: int
    right: float | None = Field(description="Null if no sure photo was reviewed.")
    low: float
    high: float
    more: int = Field(description="Reviews that are missing for an interval of plus or minus 0.02.")

    @classmethod
    def of(cls, found: Estimate) -> Self:
        """Return an estimate, rounded."""
        rounded = {key: round(value, 6) for key, value in found._asdict().items() if value is not None}
        return cls.model_validate({"right": None, **rounded})


class CategoryAccuracy(EstimatedShare):
    """The estimate for the photos with one predicted label."""

    label: str = ""


class WeekAccuracy(EstimatedShare):
    """The estimate for the photos of one week, which begins on `monday`."""

    monday: date = date.min


class VersionAccuracy(_Body):
    """How often one version is right for the photos of one intake; `intake` is null for photos sent here."""

    model: str
    intake: str | None
    recent: EstimatedShare | None
    categories: list[CategoryAccuracy]
    weeks: list[WeekAccuracy]

    @classmethod
    def of(cls, found: ModelAccuracy) -> Self:
        """Return the estimates of a version."""
        return cls(
            model=str(found.model),
            intake=found.intake,
            recent=EstimatedShare.of(found.recent) if found.recent else None,
            categories=[
                CategoryAccuracy.of(each.estimate).model_copy(update={"label": each.label})
                for each in found.categories
            ],
            weeks=[
                WeekAccuracy.of(each.estimate).model_copy(update={"monday": each.monday})
                for each in found.weeks
            ],
        )


class Accuracies(_Body):
    """How often the versions of a model are right."""

    days: int = Field(description="How many days `recent` and `categories` reach back.")
    left_out: int = Field(description="Runs of these days of which no sample is known.")
    versions: list[VersionAccuracy]

    @classmethod
    def of(cls, found: Iterable[ModelAccuracy], left_out: int) -> Self:
        """Return the estimates of all versions."""
        return cls(days=RECENT_DAYS, left_out=left_out, versions=[VersionAccuracy.of(each) for each in found])
