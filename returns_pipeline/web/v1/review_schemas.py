"""The bodies of REST requests and responses about reviews."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.reviews import ReviewAction, ReviewKind, ReviewOutcome, ReviewTask
from returns_pipeline.usecases.review_grid import MOST_TOGETHER
from returns_pipeline.web.v1.schemas import Body


class ReviewImage(Body):
    """An image to review, with the five best labels and all labels that can be chosen.

    `kind` is null for an image that is not in the queue, `review` before the first review. `label`,
    `probability` and `main_category` are null without a prediction.
    """

    image: int
    run: int
    name: str
    kind: ReviewKind | None
    model: str
    label: str | None
    probability: float | None
    main_category: str | None
    review: int | None
    top: list[tuple[str, float]]
    labels: list[str]

    @classmethod
    def of(cls, task: ReviewTask) -> "ReviewImage":
        """Return an image to review."""
        return cls.model_validate(
            {
                "image": task.image_id,
                "run": task.run_id,
                "name": task.name,
                "kind": task.kind,
                "model": task.model,
                "label": task.label,
                "probability": task.probability,
                "main_category": task.main_label,
                "review": task.review_id,
                "top": task.top,
                "labels": task.labels,
            }
        )


class Next(Body):
    """The next image to review; null if none waits for this reviewer."""

    item: ReviewImage | None


class Reviewed(Body):
    """What was stored, and the next image of the queue."""

    action: ReviewAction
    item: ReviewImage | None


class TakenBack(Body):
    """What an undo took back: the images, and the image that the caller holds again, if it was queued."""

    action: ReviewAction
    images: list[int]
    item: ReviewImage | None


class ReviewTotals(Body):
    """How many images wait, and how often the model was right in the newest that were reviewed.

    Up to 10,000 waiting images are counted, and the newest 5,000 reviews of each kind.
    """

    waiting: int
    doubts: int
    doubts_right: int
    audits: int
    audits_right: int


class Verdict(BaseModel):
    """What a reviewer says of an image: a label, or an outcome without a label.

    `outcome` is `none_of_these`, `unreadable`, `retake` or one of RETURNS_REVIEW_OUTCOMES. `replaces` is the
    id of another person's review that this one replaces; without it, such a review is refused.
    """

    model_config = ConfigDict(extra="forbid")

    label: str | None = Field(None, max_length=100)
    outcome: str = Field(ReviewOutcome.LABEL, max_length=40)
    replaces: int | None = Field(None, ge=1, lt=2**63)


class ImageVerdict(Verdict):
    """What a reviewer says of one image of several."""

    image: int = Field(ge=1, lt=2**63)


class Verdicts(BaseModel):
    """What a reviewer says of several images, each named once."""

    model_config = ConfigDict(extra="forbid")

    reviews: list[ImageVerdict] = Field(min_length=1, max_length=MOST_TOGETHER)


class VerdictResult(Body):
    """What became of one image: `error` and `advice` say why it was refused, and are empty otherwise."""

    image: int
    result: Literal["accepted", "corrected", "refused"]
    error: str
    advice: str

    @classmethod
    def of(cls, image_id: int, done: ReviewAction | RefusedError) -> "VerdictResult":
        """Return what became of an image."""
        if isinstance(done, RefusedError):
            return cls(image=image_id, result="refused", error=done.shown_message, advice=done.shown_advice)
        result: Literal["accepted", "corrected"] = "accepted" if done is ReviewAction.ACCEPT else "corrected"
        return cls(image=image_id, result=result, error="", advice="")


class ReviewedMany(Body):
    """The result of each image, in the order of the request.

    `batch` is the same for the actions that were stored, which one undo takes back; null if none was.
    """

    batch: str | None
    results: list[VerdictResult]
