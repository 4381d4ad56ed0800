"""Runs and their images."""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from returns_pipeline.errors import ConflictError, PipelineError
from returns_pipeline.records.access import Role
from returns_pipeline.records.images import Filter, ImageResult, ImageState
from returns_pipeline.records.jobs import JobKind
from returns_pipeline.records.reviews import ReviewAction
from returns_pipeline.records.runs import RunState, RunSummary
from returns_pipeline.report import words
from returns_pipeline.report.columns import Output, as_dict
from returns_pipeline.store import browsing, run_statistics, runs
from returns_pipeline.store.browsing import Order
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.jobs import request_job
from returns_pipeline.usecases.review_grid import Sent
from returns_pipeline.usecases.reviews import outcomes_without_label, task, undo
from returns_pipeline.web.dependencies import Db, Pipeline, RunId, Web
from returns_pipeline.web.pages.judged import chosen_of, form_of_many, ids_of, judge, notice_of
from returns_pipeline.web.pages.page import Person, form_of, redirect, root_of, show, text_of
from returns_pipeline.web.queries.cursors import image_cursor, pack
from returns_pipeline.web.queries.lists import ImageList
from returns_pipeline.web.queries.lookups import RUN_ID_END
from returns_pipeline.web.resources import Resources
from returns_pipeline.web.security.access import Principal

router = APIRouter()

_RUNS, _IMAGES = 50, 60


@router.get("/runs")
def list_runs(
    request: Request, db: Db, _: Person, before: Annotated[int | None, Query(ge=1, lt=RUN_ID_END)] = None
) -> HTMLResponse:
    """Show the newest runs."""
    found = runs.latest(db, _RUNS + 1, before)
    shown = found[:_RUNS]
    return show(
        request,
        "runs.html",
        version=runs.version(db),
        runs=shown,
        next=shown[-1].id if len(found) > _RUNS else None,
    )


@router.get("/runs/{run_id}")
def show_run(
    request: Request,
    db: Db,
    web: Web,
    person: Person,
    run_id: RunId,
    state: Annotated[str, Query(max_length=20)] = "",
    label: Annotated[str, Query(max_length=100)] = "",
    decision: Annotated[str, Query(max_length=10)] = "",
    code: Annotated[str, Query(max_length=32)] = "",
    order: Annotated[str, Query(max_length=10)] = "id",
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> HTMLResponse:
    """Show a run and a page of its images."""
    db = web.context.db
    run = runs.existing(db, run_id)
    # An empty or unknown value filters nothing: forms send every field.
    wanted = Filter(
        run_id=run_id,
        state=ImageState(state) if state in ImageState.written() else None,
        label=label or None,
        decision=decision or None,
        code=code or None,
    )
    by = Order(order) if order in set(Order) else Order.ID
    found, following = browsing.page(db, wanted, by, image_cursor(cursor, by), _IMAGES)
    query = {"state": state, "label": label, "decision": decision, "code": code, "order": by}
    return show(
        request,
        "run.html",
        run=run,
        coloured=warning(web, run),
        images=[_tile(image) for image in found],
        labels=sorted(run_statistics.labels(db, [run_id])[run_id].items()),
        wanted=wanted,
        order=by,
        in_list=ImageList(state, label, decision, code, order).address(),
        can_operate=person.may(Role.OPERATOR),
        labels_of_model=_labels_of_model(web, found) if person.role.rank >= Role.REVIEWER.rank else (),
        outcomes=outcomes_without_label(web.context.settings.review_outcomes),
        notice=notice_of(request, web, person),
        here=_link(request, run_id, query | {"cursor": cursor}).removeprefix(root_of(request)),
        next=_link(request, run_id, query | {"cursor": pack(following)}) if following else None,
    )


def _labels_of_model(web: Resources, found: Sequence[ImageResult]) -> tuple[str, ...]:
    """Return the labels that the photos of a page can get."""
    return task(web.context.db, web.bundle_of, found[0].id).labels if found else ()


def warning(web: Resources, run: RunSummary) -> str:
    """Return that a run's model was given photos that it does not know; empty if it was given none."""
    if not run.coloured:
        return ""
    try:
        knows = web.bundle_of(str(run.model)).knows
    except PipelineError:
        return words.coloured(run.coloured, run.counts.seen, run.model)
    return words.coloured(run.coloured, run.counts.seen, run.model, knows)


def _tile(image: ImageResult) -> dict[str, Any]:
    """Return an image for the grid: the fields of the REST interface, and the review that counts."""
    return {**as_dict(Output.REST, image), "review_id": image.review_id}


def _link(request: Request, run_id: int, query: dict[str, Any]) -> str:
    kept = {name: value for name, value in query.items() if value}
    return f"{root_of(request)}/runs/{run_id}?{urlencode(kept)}"


@router.post("/runs/{run_id}/label")
async def label(request: Request, web: Web, person: Person, run_id: RunId) -> RedirectResponse:
    """Give the marked photos one category, or take back the last action; then show the same page again."""
    form = await form_of_many(request, person)
    done = await run_in_threadpool(_label, web, person, form)
    kept = parse_qsl(request.url.query)
    query = {name: value for name, value in kept if name in _FILTERS} | done
    return redirect(request, _link(request, run_id, query).removeprefix(root_of(request)))


#: The parameters of a run's page that its form keeps.
_FILTERS = {"state", "label", "decision", "code", "order", "cursor"}


def _label(web: Resources, person: Principal, form: FormData) -> dict[str, object]:
    """Store a form; return the parameters of the page after it."""
    if text_of(form, "action") == ReviewAction.UNDO:
        undo(web.context.db, person.name)
        return {}
    label, outcome = chosen_of(form)
    marked = ids_of(form, "wrong").items()
    return judge(web, person, (Sent(each, label, outcome, seen) for each, seen in marked)).parameters()


@router.post("/runs/{run_id}/retry")
async def retry(request: Request, context: Pipeline, person: Person, run_id: RunId) -> RedirectResponse:
    """Request another run for the unusable and failed photos of a run."""
    await form_of(request, person, Role.OPERATOR)
    await run_in_threadpool(_retry, context, person.name, run_id)
    return redirect(request, "/")


def _retry(context: Context, who: str, run_id: int) -> None:
    if runs.existing(context.db, run_id).state is not RunState.CLOSED:
        raise ConflictError("The run is not finished.", "Try again when it is finished.")
    request_job(context, JobKind.RETRY, run_id, who)
