"""Reviewing many photos of one predicted category together."""

from collections.abc import Iterator

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.reviews import ReviewAction
from returns_pipeline.store import review_grid as store
from returns_pipeline.store import review_queue, run_statistics, runs
from returns_pipeline.usecases import review_grid, reviews
from returns_pipeline.usecases.review_grid import GridPage, Sent
from returns_pipeline.web.dependencies import Web
from returns_pipeline.web.pages.judged import chosen_of, form_of_many, ids_of, judge, notice_of
from returns_pipeline.web.pages.page import Person, redirect, show, text_of
from returns_pipeline.web.queries.review_scopes import ScopeInAddress
from returns_pipeline.web.resources import Resources
from returns_pipeline.web.security.access import Principal

router = APIRouter()

_MOST_RUNS = 60
#: The value of `of` for all photos of a run without a review, not only those that wait for one.
_ALL = "all"


@router.get("/review/grid")
def show_grid(request: Request, web: Web, person: Person) -> HTMLResponse:
    """Show the categories, and 40 photos of the chosen one."""
    return _page(request, web, person)


@router.post("/review/grid", response_model=None)
async def act(request: Request, web: Web, person: Person) -> Response:
    """Accept a page, label its marked photos, or take back the last action; then show the next page."""
    form = await form_of_many(request, person)
    try:
        done = await run_in_threadpool(_apply, web, person, form)
    except RefusedError as fault:
        return await run_in_threadpool(_page, request, web, person, fault.shown)
    scope, of = ScopeInAddress.of_page(request), _of(request)
    return redirect(request, "/review/grid" + scope.address(of=of, **done))


def _of(request: Request) -> str | None:
    return _ALL if request.query_params.get("of") == _ALL else None


def _apply(web: Resources, person: Principal, form: FormData) -> dict[str, object]:
    """Do what a form asks for; return the parameters of the next page."""
    action = text_of(form, "action")
    if action == ReviewAction.UNDO:
        undone = reviews.undo(web.context.db, person.name)
        web.judge_returns()
        return {"undone": len(undone.image_ids)}
    if action == "label":
        label, outcome = chosen_of(form)
        sent = [Sent(image_id, label, outcome) for image_id in ids_of(form, "wrong")]
        return judge(web, person, sent).parameters()
    return judge(web, person, _accepted(form)).parameters()


def _accepted(form: FormData) -> Iterator[Sent]:
    """Yield the shown photos: the marked ones are put aside, the others have the label of the page."""
    wrong, label = set(ids_of(form, "wrong")), text_of(form, "label", 100)
    for image_id in ids_of(form, "images"):
        yield Sent(image_id, aside=True) if image_id in wrong else Sent(image_id, label)


def _page(request: Request, web: Resources, person: Principal, fault: str = "") -> HTMLResponse:
    db, chosen, of = web.context.db, ScopeInAddress.of_page(request), _of(request)
    newest = runs.latest(db, _MOST_RUNS) if of == _ALL else []
    waiting = review_queue.waiting_runs(db, _MOST_RUNS) if of != _ALL else []
    if newest and chosen.run is None:
        chosen = chosen._replace(run=newest[0].id)
    scope = chosen.scope(web.context.settings)
    if of != _ALL:
        categories = store.waiting_by_label(db, person.name, scope)
    elif scope.run_id is not None:
        counted = run_statistics.labels(db, [scope.run_id])[scope.run_id]
        categories = sorted(counted.items(), key=lambda each: (-each[1], each[0]))
    else:
        categories = []
    shown = GridPage([], 0)
    if chosen.label is not None and (of != _ALL or scope.run_id is not None):
        shown = review_grid.page(db, person.name, scope, chosen.label, with_sure=of == _ALL)
    labels: tuple[str, ...] = ()
    if shown.images:
        labels = reviews.task(db, web.bundle_of, shown.images[0].image_id).labels
    return show(
        request,
        "review_grid.html",
        409 if fault else 200,
        chosen=chosen,
        of=of,
        address=chosen.address(of=of),
        address_of={label: chosen._replace(label=label).address(of=of) for label, _ in categories},
        runs=newest if of == _ALL else waiting,
        intakes=sorted({run.intake for run in waiting if run.intake}),
        categories=categories,
        shown=shown,
        labels=labels,
        outcomes=reviews.outcomes_without_label(web.context.settings.review_outcomes),
        notice=notice_of(request, web, person),
        fault=fault,
    )
