"""Runs and their images."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import ConflictError, PipelineError
from returns_pipeline.records.access import Role
from returns_pipeline.records.images import Filter, ImageState
from returns_pipeline.records.jobs import JobKind
from returns_pipeline.records.runs import RunState
from returns_pipeline.store import browsing, run_statistics, runs
from returns_pipeline.store.browsing import Order
from returns_pipeline.usecases.jobs import request_job
from returns_pipeline.web.pages.page import Person, explanation, form_of, root_of, show, to
from returns_pipeline.web.security.access import Principal
from returns_pipeline.web.v1.images import existing as existing_image
from returns_pipeline.web.v1.images import is_cursor
from returns_pipeline.web.v1.runs import existing
from returns_pipeline.web.v1.schemas import Image, pack, unpack

router = APIRouter()

_RUNS, _IMAGES = 50, 60


@router.get("/runs")
def list_runs(
    request: Request, _: Person, before: Annotated[int | None, Query(ge=1, lt=2**31)] = None
) -> HTMLResponse:
    """Show the newest runs."""
    database = request.app.state.context.db
    found = runs.latest(database, _RUNS + 1, before)
    shown = found[:_RUNS]
    return show(request, "runs.html", runs=shown, next=shown[-1].id if len(found) > _RUNS else None)


@router.get("/runs/{run_id}")
def show_run(
    request: Request,
    person: Person,
    run_id: int,
    state: Annotated[str, Query(max_length=20)] = "",
    label: Annotated[str, Query(max_length=100)] = "",
    decision: Annotated[str, Query(max_length=10)] = "",
    code: Annotated[str, Query(max_length=32)] = "",
    order: Annotated[str, Query(max_length=10)] = "id",
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> HTMLResponse:
    """Show a run and a page of its images."""
    run = existing(request, run_id)
    database = request.app.state.context.db
    # What was left empty in the form, or is no such thing, filters nothing.
    wanted = Filter(
        run_id,
        ImageState(state) if state in set(ImageState) else None,
        label or None,
        decision or None,
        code=code or None,
    )
    by = Order(order) if order in set(Order) else Order.ID
    after = unpack(cursor)
    after = tuple(after) if after is not None and is_cursor(after, by) else None
    found, following = browsing.page(database, wanted, by, after, _IMAGES)
    query = {"state": state, "label": label, "decision": decision, "code": code, "order": by}
    counted = run_statistics.labels(database, [run_id])[run_id]
    return show(
        request,
        "run.html",
        run=run,
        images=[Image.of(image) for image in found],
        labels=sorted(counted.items()),
        asked=wanted,
        order=by,
        can_operate=person.role is Role.OPERATOR,
        next=_link(request, run_id, query | {"cursor": pack(following)}) if following else None,
    )


def _link(request: Request, run_id: int, query: dict[str, Any]) -> str:
    kept = {name: value for name, value in query.items() if value}
    return f"{root_of(request)}/runs/{run_id}?{urlencode(kept)}"


@router.post("/runs/{run_id}/retry")
async def retry(request: Request, person: Person, run_id: int) -> RedirectResponse:
    """Ask for another try of what was set aside."""
    await form_of(request, person, Role.OPERATOR)
    await run_in_threadpool(_retry, request, person, run_id)
    return to(request, "/")


def _retry(request: Request, person: Principal, run_id: int) -> None:
    if existing(request, run_id).state is not RunState.CLOSED:
        raise ConflictError("The run is still open.", "Try again when it is closed.")
    request_job(request.app.state.context, JobKind.RETRY, run_id, person.name)


@router.get("/images/{image_id}")
async def show_image(
    request: Request, _: Person, image_id: int, why: Annotated[bool, Query()] = False
) -> HTMLResponse:
    """Show one image and what every model said of it; `why` the last one did, when that is asked."""
    image = Image.of(await run_in_threadpool(existing_image, request, image_id))
    wanted = why and image.state == ImageState.CLASSIFIED
    told = await explanation(request, image_id) if wanted else None
    return await run_in_threadpool(_image, request, image, told)


def _image(request: Request, image: Image, why: dict[str, Any] | None) -> HTMLResponse:
    answers = browsing.answers(request.app.state.context.db, image.id)
    for answer in answers:
        labels = _labels(request, answer["model"])
        answer["best"] = [(labels.get(index, str(index)), chance) for index, chance in answer["top"][:5]]
    return show(request, "image.html", image=image, answers=answers, why=why)


def _labels(request: Request, model: str) -> dict[int, str]:
    try:
        return dict(enumerate(request.app.state.asker.bundle(model).labels))
    except PipelineError:
        return {}
