"""How often a model is right: counts of predictions, and the estimate that is made of them."""

from datetime import date
from typing import NamedTuple

from returns_pipeline.records.models import ModelRef

#: Probabilities at which a band ends and the next one begins.
BANDS = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
#: The band of unsure photos that are reviewed for another reason than their probability, which says nothing.
NO_BAND = -1
#: Half of the width that an interval should have: plus or minus two photos in a hundred.
WANTED = 0.02
#: How far back "now" and the weeks reach.
RECENT_DAYS, MOST_WEEKS = 28, 26


class Counted(NamedTuple):
    """Classified photos of some runs with one predicted label; of unsure ones in one band.

    `intake` is the folder that was scanned, None for photos that came in another way. `label` is empty for
    unsure photos of all labels. The last seven are as in `quality.accuracy.Cell`.
    """

    model: ModelRef
    intake: str | None
    label: str
    is_sure: bool
    band: int
    photos: int
    probability: float
    reviewed: int
    right: int
    weight: float
    right_weight: float
    square_weight: float


class Estimate(NamedTuple):
    """The share of photos for which the model is right, 0 to 1, with its 95 % interval.

    `right` is None if no sure photo was reviewed. `more` is about how many further photos must be reviewed
    until the interval is as narrow as plus or minus WANTED; 0 if it is.
    """

    photos: int
    reviewed: int
    right: float | None
    low: float
    high: float
    more: int


class Week(NamedTuple):
    """The estimate for the photos of one week, which begins on `monday`."""

    monday: date
    estimate: Estimate


class CategoryEstimate(NamedTuple):
    """The estimate for the photos with one predicted label."""

    label: str
    estimate: Estimate


class ModelAccuracy(NamedTuple):
    """How often a version of a model is right for the photos of one intake.

    `intake` is the name of the folder, with as many of the folders above it as no other one has; None for
    photos that came in another way. `recent` is for the photos of the last RECENT_DAYS, None if there were
    none; so are the `categories`, the most frequent first. `weeks` are those with photos, oldest first.
    """

    model: ModelRef
    intake: str | None
    recent: Estimate | None
    categories: tuple[CategoryEstimate, ...]
    weeks: tuple[Week, ...]
