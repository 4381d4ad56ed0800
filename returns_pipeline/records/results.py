"""Results: what is known about one image in the end, a person's review included."""

from typing import NamedTuple

from returns_pipeline.records.images import ImageState


class Result(NamedTuple):
    """One image of a run with its prediction and its review; None in a field means there is no value.

    `path` is where the photo came in, `archived_path` where it is now if it was moved to the archive or to
    quarantine. `code`, one of FaultCode, and the sentence `detail` say why there is no prediction.

    `label`, `probability` (0 to 1) and `main_category` are what the run's model predicted; `decision` is
    `auto` if the prediction counts without a person and `review` if a person should check it.
    `reviewed_label` is the label of the newest review, by `reviewer`.
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
    reviewed_label: str | None = None
    reviewer: str | None = None

    @property
    def final_label(self) -> str | None:
        """The label that counts: the newest review's, else the prediction's."""
        return self.label if self.reviewed_label is None else self.reviewed_label

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return self.path.rpartition("/")[2]
