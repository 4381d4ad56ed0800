"""Reviewing: one image at a time, and how often the model is right."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.access import Role
from returns_pipeline.store import match_lists, review_queue
from returns_pipeline.usecases import reviews
from returns_pipeline.web.dependencies import Web
from returns_pipeline.web.pages.open_returns import TO_CHECK, count_to_check, count_worst
from returns_pipeline.web.pages.page import Person, form_of, redirect, show
from returns_pipeline.web.pages.sent_review import SentReview
from returns_pipeline.web.queries.review_scopes import ScopeInAddress
from returns_pipeline.web.resources import Resources
from returns_pipeline.web.security.access import Principal

router = APIRouter()

#: The newest runs that a reviewer can choose.
_MOST_RUNS = 60


@router.get("/review")
def next_image(request: Request, web: Web, person: Person) -> HTMLResponse:
    """Show the next image of a scope."""
    return _page(request, web, person)


@router.post("/review", response_model=None)
async def act(request: Request, web: Web, person: Person) -> Response:
    """Store a label, skip an image or undo the last review; then show the next image."""
    sent = SentReview.of(await form_of(request, person, Role.REVIEWER))
    try:
        await run_in_threadpool(sent.apply, web, person.name)
    except RefusedError as fault:
        return await run_in_threadpool(_page, request, web, person, fault.shown_message)
    return redirect(request, "/review" + ScopeInAddress.of_page(request).address())


def _page(request: Request, web: Resources, person: Principal, fault: str = "") -> HTMLResponse:
    db, chosen = web.context.db, ScopeInAddress.of_page(request)
    scope = chosen.scope(web.context.settings)
    task = reviews.next_task(db, web.bundle_of, person.name, scope)
    runs = review_queue.waiting_runs(db, _MOST_RUNS)
    return show(
        request,
        "review.html",
        409 if fault else 200,
        task=task,
        counts=web.review_counts(),
        newest=review_queue.NEWEST_REVIEWS,
        held=review_queue.held_by_others(db, person.name, scope),
        chosen=chosen,
        address=chosen.address(),
        runs=runs,
        intakes=sorted({run.intake for run in runs if run.intake}),
        outcomes=reviews.outcomes_without_label(web.context.settings.review_outcomes),
        fault=fault,
        returns_to_check=count_to_check(web),
        worst_returns=count_worst(web),
        has_matches=match_lists.is_waiting(db),
        returns_address=TO_CHECK.address(),
    )
