"""Reviewing: one image at a time, and how often the model is right."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.access import Role
from returns_pipeline.records.reviews import ReviewAction
from returns_pipeline.usecases import reviews
from returns_pipeline.web.dependencies import Web
from returns_pipeline.web.pages.page import Person, form_of, redirect, show, text_of
from returns_pipeline.web.queries.lookups import IMAGE_ID_END
from returns_pipeline.web.resources import Resources
from returns_pipeline.web.security.access import Principal

router = APIRouter()


@router.get("/review")
def next_image(request: Request, web: Web, person: Person) -> HTMLResponse:
    """Show the next image."""
    return _page(request, web, person)


@router.post("/review", response_model=None)
async def act(request: Request, web: Web, person: Person) -> Response:
    """Store a label, skip an image or undo the last review; then show the next image."""
    form = await form_of(request, person, Role.REVIEWER)
    action, label = text_of(form, "action"), text_of(form, "label", 100)
    image_id = _image_id(text_of(form, "image", 20))
    try:
        await run_in_threadpool(_apply, web, person.name, action, image_id, label)
    except RefusedError as fault:
        return await run_in_threadpool(_page, request, web, person, fault.message)
    return redirect(request, "/review")


def _image_id(text: str) -> int:
    """Return the id in a form; 0, which no image has, for any other text."""
    number = int(text) if text.isdecimal() else 0
    return number if number < IMAGE_ID_END else 0


def _apply(web: Resources, reviewer: str, action: str, image_id: int, label: str) -> None:
    db = web.context.db
    if action == ReviewAction.UNDO:
        reviews.undo(db, web.bundle_of, reviewer)
    elif action == ReviewAction.SKIP:
        reviews.skip(db, reviewer, image_id)
    else:
        reviews.decide(db, web.bundle_of, reviewer, image_id, label)


def _page(request: Request, web: Resources, person: Principal, fault: str = "") -> HTMLResponse:
    task = reviews.next_task(web.context.db, web.bundle_of, person.name)
    counts = web.review_counts()
    return show(request, "review.html", 409 if fault else 200, task=task, counts=counts, fault=fault)
