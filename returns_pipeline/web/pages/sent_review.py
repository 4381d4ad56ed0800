"""The form of a review, which the review page and the page of an image send."""

from typing import NamedTuple, Self

from starlette.datastructures import FormData

from returns_pipeline.records.reviews import ReviewAction, ReviewOutcome
from returns_pipeline.usecases import reviews
from returns_pipeline.web.pages.page import text_of
from returns_pipeline.web.queries.lookups import IMAGE_ID_END
from returns_pipeline.web.resources import Resources


class SentReview(NamedTuple):
    """What a person sent: an action on an image, with a label or an outcome, and the review that they saw."""

    action: str
    image_id: int
    label: str
    outcome: str
    replaces: int

    @classmethod
    def of(cls, form: FormData) -> Self:
        """Return the review in a form. A missing or wrong id is 0, which no image and no review has."""
        return cls(
            text_of(form, "action"),
            _id(text_of(form, "image", 20)),
            text_of(form, "label", 100),
            text_of(form, "outcome", 40),
            _id(text_of(form, "replaces", 20)),
        )

    def apply(self, web: Resources, reviewer: str) -> None:
        """Store the review. Raises RefusedError, and NotFoundError or ConflictError, as the use case does."""
        db = web.context.db
        if self.action == ReviewAction.UNDO:
            reviews.undo(db, reviewer)
        elif self.action == ReviewAction.SKIP:
            reviews.skip(db, reviewer, self.image_id)
        else:
            reviews.decide(
                db,
                web.bundle_of,
                reviewer,
                self.image_id,
                self.label or None,
                self.outcome or ReviewOutcome.LABEL,
                outcomes=web.context.settings.review_outcomes,
                replaces=self.replaces or None,
            )
        web.judge_returns()


def _id(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    return number if number < IMAGE_ID_END else 0
