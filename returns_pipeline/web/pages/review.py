"""Reviewing: one image at a time, and whether the model is right."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.access import Role
from returns_pipeline.records.reviews import ReviewAction
from returns_pipeline.store import reviews
from returns_pipeline.web.pages.page import Person, form_of, show, text_of, to
from returns_pipeline.web.queries import review_items
from returns_pipeline.web.security.access import Principal, require_role

router = APIRouter()


@router.get("/review")
def look(request: Request, person: Person) -> HTMLResponse:
    """Show the next image."""
    require_role(person, Role.REVIEWER)
    return _page(request, person)


@router.post("/review", response_model=None)
async def say(request: Request, person: Person) -> Response:
    """Store what somebody says, and show the next image."""
    form = await form_of(request, person, Role.REVIEWER)
    action, label = text_of(form, "action"), text_of(form, "label", 100)
    image = text_of(form, "image", 20)
    try:
        await run_in_threadpool(
            _do, request, person.name, action, int(image) if image.isdecimal() else 0, label
        )
    except RefusedError as fault:
        return await run_in_threadpool(_page, request, person, fault.message)
    answer: RedirectResponse = to(request, "/review")
    return answer


def _do(request: Request, who: str, action: str, image: int, label: str) -> None:
    database = request.app.state.context.db
    if action == ReviewAction.UNDO:
        if reviews.undo(database, who, review_items.HOLD_SECONDS) is None:
            raise RefusedError("There is no review of yours to take back.")
    elif action == ReviewAction.SKIP:
        reviews.skip(database, who, image)
    else:
        review_items.decide(request.app.state, who, image, label)


def _page(request: Request, person: Principal, fault: str = "") -> HTMLResponse:
    item = review_items.next_item(request.app.state, person.name)
    counts = request.app.state.review_counts()
    return show(request, "review.html", 409 if fault else 200, item=item, counts=counts, fault=fault)
