"""Reviews: what a person says of the model's answers, one image at a time."""

from fastapi import APIRouter, Request

from returns_pipeline.errors import ConflictError, NotFoundError
from returns_pipeline.records.reviews import ReviewAction
from returns_pipeline.store import reviews
from returns_pipeline.web.queries import review_items
from returns_pipeline.web.security.access import Reviewer, Viewer
from returns_pipeline.web.v1.schemas import Next, ReviewCounts, Reviewed, Verdict

router = APIRouter(tags=["reviews"])


@router.get("/reviews", summary="How much waits, and how often the model was right")
def count_reviews(request: Request, _: Viewer) -> ReviewCounts:
    """Count what waits and what is done."""
    return ReviewCounts(**request.app.state.review_counts()._asdict())


@router.post("/reviews/next", summary="Take the next image to look at")
def take_next(request: Request, person: Reviewer) -> Next:
    """Hold the next image for whoever asks: nobody else gets it for some minutes."""
    return Next(item=review_items.next_item(request.app.state, person.name))


@router.post("/reviews/{image_id}", summary="Say what an image is")
def decide(request: Request, person: Reviewer, image_id: int, verdict: Verdict) -> Reviewed:
    """Store a label, of those that the model knows, and take the next image."""
    action = review_items.decide(request.app.state, person.name, image_id, verdict.label)
    return Reviewed(action=action.value, item=review_items.next_item(request.app.state, person.name))


@router.post("/reviews/{image_id}/skip", summary="Look at an image later")
def skip(request: Request, person: Reviewer, image_id: int) -> Reviewed:
    """Put an image at the end of the queue and take the next one."""
    database = request.app.state.context.db
    if not (0 < image_id < 2**63 and reviews.skip(database, person.name, image_id)):
        raise NotFoundError("Image {image_id} does not wait for a review of yours.", image_id=image_id)
    return Reviewed(action="skip", item=review_items.next_item(request.app.state, person.name))


@router.post("/reviews/undo/last", summary="Take the newest review back")
def undo(request: Request, person: Reviewer) -> Reviewed:
    """Take back the newest review of whoever asks that still stands; the image is theirs again."""
    item = reviews.undo(request.app.state.context.db, person.name, review_items.HOLD_SECONDS)
    if item is None:
        raise ConflictError("There is no review of yours to take back.")
    return Reviewed(action=ReviewAction.UNDO.value, item=review_items.shown(request.app.state, item))
