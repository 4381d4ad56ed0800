"""Results: what is known about one image in the end, a person's review included."""

from datetime import datetime
from typing import NamedTuple

from returns_pipeline.records.images import ImageState, LabelSource


class Result(NamedTuple):
    """One image of a run with its prediction and its review; None in a field means there is no value.

    `path` is where the photo came in, `archived_path` where it is now if it was moved to the archive or to
    quarantine. `code`, one of FaultCode, and the sentence `detail` say why there is no prediction.

    `label`, `probability` (0 to 1) and `main_category` are what the run's model predicted; `decision` is
    `auto` if the prediction counts without a person and `review` if a person should check it.
    `final_label` is the label that counts: the newest review's, else the prediction's; `final_source` says
    which. `familiarity`, 0 to 1, is the share of the model's validation photos that are stranger than this
    one, None if the model cannot tell. `reviewer` made the newest review at `reviewed_at`, UTC; it has a
    `reviewed_label`, or a `review_outcome` such as `none_of_these` and then no final label. `received_at`,
    UTC, is when the photo was found or sent.
    """

    id: int
    path: str
    state: ImageState
    code: str | None
    detail: str | None
    archived_path: str | None
    label: str | None
    probability: float | None
    main_category: str | None
    decision: str | None
    final_label: str | None
    final_source: LabelSource | None
    review_outcome: str | None
    reviewed_label: str | None
    reviewer: str | None
    reviewed_at: datetime | None
    received_at: datetime
    familiarity: float | None

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return self.path.rpartition("/")[2]
