"""Photos that came in before: both side by side, and what a person decides about them."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from returns_pipeline.errors import ConflictError
from returns_pipeline.records.access import Role
from returns_pipeline.store import match_lists
from returns_pipeline.store.match_lists import ShownMatch
from returns_pipeline.usecases import match_decisions
from returns_pipeline.web.dependencies import ImageId, Pipeline, Web
from returns_pipeline.web.pages.page import Person, form_of, redirect, show, text_of
from returns_pipeline.web.pages.returns import path_of
from returns_pipeline.web.resources import Resources
from returns_pipeline.web.security.access import Principal

router = APIRouter()


@router.get("/matches")
def list_matches(request: Request, context: Pipeline, person: Person) -> HTMLResponse:
    """Show the newest photos that came in before and that no person has decided."""
    found = match_lists.undecided(context.db)
    return _page(request, person, found, "list")


@router.get("/matches/{image_id}")
def show_match(request: Request, context: Pipeline, person: Person, image_id: ImageId) -> HTMLResponse:
    """Show a photo and the earlier one that it is like."""
    return _page(request, person, [match_lists.existing(context.db, image_id)], "")


@router.post("/matches/{image_id}", response_model=None)
async def decide(request: Request, web: Web, person: Person, image_id: ImageId) -> Response:
    """Store whether both photos are the same; then show the page that the person came from."""
    form = await form_of(request, person, Role.REVIEWER)
    try:
        path = await run_in_threadpool(_decide, web, person, image_id, form)
    except ConflictError as fault:
        found = await run_in_threadpool(match_lists.existing, web.context.db, image_id)
        return await run_in_threadpool(_page, request, person, [found], "", fault.shown_message)
    return redirect(request, path)


def _decide(web: Resources, person: Principal, image_id: int, form: FormData) -> str:
    """Store a decision and return the path of the page that follows."""
    db = web.context.db
    match_decisions.decide(
        db, image_id, text_of(form, "decision", 20), person.name, text_of(form, "seen", 20)
    )
    web.judge_returns()
    number = text_of(form, "return", 100)
    return {
        "list": f"/matches?decided={image_id}",
        "photo": f"/images/{image_id}#same",
        "return": f"{path_of(number)}#same",
    }.get(text_of(form, "from", 10), f"/matches/{image_id}")


def _page(
    request: Request, person: Principal, found: list[ShownMatch], came_from: str, fault: str = ""
) -> HTMLResponse:
    decided = request.query_params.get("decided", "")
    return show(
        request,
        "matches.html",
        409 if fault else 200,
        matches=found,
        came_from=came_from,
        decided=int(decided) if decided.isascii() and decided.isdigit() and len(decided) < 20 else None,
        may_decide=person.role.rank >= Role.REVIEWER.rank,
        fault=fault,
    )
