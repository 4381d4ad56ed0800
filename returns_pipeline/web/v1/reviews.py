"""Reviews: a person says what an image is, one image at a time or many."""

from typing import Annotated

from fastapi import APIRouter, Depends

from returns_pipeline.records.reviews import ReviewAction
from returns_pipeline.usecases import review_grid, reviews
from returns_pipeline.web.dependencies import Db, ImageId, Reviewer, Viewer, Web
from returns_pipeline.web.queries.review_scopes import ScopeInAddress, scope_in_address
from returns_pipeline.web.v1.review_schemas import (
    Next,
    Reviewed,
    ReviewedMany,
    ReviewImage,
    ReviewTotals,
    TakenBack,
    Verdict,
    VerdictResult,
    Verdicts,
)

router = APIRouter(tags=["reviews"])

Scope = Annotated[ScopeInAddress, Depends(scope_in_address)]


@router.get("/reviews", summary="How many images wait, and how often the model was right")
def count_reviews(web: Web, _: Viewer) -> ReviewTotals:
    """Count the images that wait and those that were reviewed."""
    return ReviewTotals(**web.review_counts()._asdict())


@router.post("/reviews/next", summary="Take the next image to review")
def take_next(web: Web, person: Reviewer, scope: Scope) -> Next:
    """Hold the next image of a scope for the caller: other reviewers do not get it for some minutes."""
    return Next(item=_next(web, person.name, scope))


@router.post("/reviews", summary="Say what many images are")
def decide_many(web: Web, person: Reviewer, verdicts: Verdicts) -> ReviewedMany:
    """Store labels and outcomes of up to 200 images, in the queue or not, in one transaction.

    An image that is refused does not stop the others.
    """
    sent = [
        review_grid.Sent(each.image, each.label, each.outcome, each.replaces) for each in verdicts.reviews
    ]
    outcomes = web.context.settings.review_outcomes
    batch, done = review_grid.decide_many(web.context.db, web.bundle_of, person.name, sent, outcomes)
    web.judge_returns()
    results = [VerdictResult.of(each.image_id, result) for each, result in zip(sent, done, strict=True)]
    return ReviewedMany(batch=batch, results=results)


@router.post("/reviews/{image_id}", summary="Say what an image is")
def decide(web: Web, person: Reviewer, image_id: ImageId, verdict: Verdict, scope: Scope) -> Reviewed:
    """Store a label or an outcome for any image, in the queue or not; take the next image of a scope."""
    action = reviews.decide(
        web.context.db,
        web.bundle_of,
        person.name,
        image_id,
        verdict.label,
        verdict.outcome,
        outcomes=web.context.settings.review_outcomes,
        replaces=verdict.replaces,
    )
    web.judge_returns()
    return Reviewed(action=action, item=_next(web, person.name, scope))


@router.post("/reviews/{image_id}/skip", summary="Review an image later")
def skip(web: Web, db: Db, person: Reviewer, image_id: ImageId, scope: Scope) -> Reviewed:
    """Put an image at the end of the queue, and take the next image of a scope."""
    reviews.skip(db, person.name, image_id)
    return Reviewed(action=ReviewAction.SKIP, item=_next(web, person.name, scope))


@router.post("/reviews/undo/last", summary="Take back the last action")
def undo(db: Db, web: Web, person: Reviewer) -> TakenBack:
    """Take back the caller's last review or skip; an image of the queue is held for the caller again."""
    undone = reviews.undo(db, person.name)
    web.judge_returns()
    item = ReviewImage.of(reviews.task_of(web.bundle_of, undone.item)) if undone.item else None
    return TakenBack(action=ReviewAction.UNDO, images=list(undone.image_ids), item=item)


def _next(web: Web, reviewer: str, scope: ScopeInAddress) -> ReviewImage | None:
    of_queue = scope.scope(web.context.settings)
    task = reviews.next_task(web.context.db, web.bundle_of, reviewer, of_queue)
    return ReviewImage.of(task) if task else None
