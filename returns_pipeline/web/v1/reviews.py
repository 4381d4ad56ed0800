"""Reviews: a person says what an image is, one image at a time."""

from fastapi import APIRouter

from returns_pipeline.records.reviews import ReviewAction
from returns_pipeline.usecases import reviews
from returns_pipeline.web.dependencies import Db, ImageId, Reviewer, Viewer, Web
from returns_pipeline.web.v1.schemas import Next, Reviewed, ReviewImage, ReviewTotals, TakenBack, Verdict

router = APIRouter(tags=["reviews"])


@router.get("/reviews", summary="How many images wait, and how often the model was right")
def count_reviews(web: Web, _: Viewer) -> ReviewTotals:
    """Count the images that wait and those that were reviewed."""
    return ReviewTotals(**web.review_counts()._asdict())


@router.post("/reviews/next", summary="Take the next image to review")
def take_next(web: Web, person: Reviewer) -> Next:
    """Hold the next image for the caller: other reviewers do not get it for some minutes."""
    return Next(item=_next(web, person.name))


@router.post("/reviews/{image_id}", summary="Say what an image is")
def decide(web: Web, person: Reviewer, image_id: ImageId, verdict: Verdict) -> Reviewed:
    """Store a label or an outcome for any image, in the queue or not; take the next image of the queue."""
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
    return Reviewed(action=action, item=_next(web, person.name))


@router.post("/reviews/{image_id}/skip", summary="Review an image later")
def skip(web: Web, db: Db, person: Reviewer, image_id: ImageId) -> Reviewed:
    """Put an image at the end of the queue, and take the next image."""
    reviews.skip(db, person.name, image_id)
    return Reviewed(action=ReviewAction.SKIP, item=_next(web, person.name))


@router.post("/reviews/undo/last", summary="Take back the last action")
def undo(db: Db, web: Web, person: Reviewer) -> TakenBack:
    """Take back the caller's last review or skip; an image of the queue is held for the caller again."""
    undone = reviews.undo(db, person.name)
    item = ReviewImage.of(reviews.task_of(web.bundle_of, undone.item)) if undone.item else None
    return TakenBack(action=ReviewAction.UNDO, images=list(undone.image_ids), item=item)


def _next(web: Web, reviewer: str) -> ReviewImage | None:
    task = reviews.next_task(web.context.db, web.bundle_of, reviewer)
    return ReviewImage.of(task) if task else None
