"""Runs and their images."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import ConflictError, NotFoundError, PipelineError
from returns_pipeline.languages import N_, Words, category
from returns_pipeline.records.access import Role
from returns_pipeline.records.images import Filter, ImageResult, ImageState
from returns_pipeline.records.jobs import JobKind
from returns_pipeline.records.places import is_object
from returns_pipeline.records.runs import RunKind, RunState, RunSummary
from returns_pipeline.report import words
from returns_pipeline.report.page import Content, render_body
from returns_pipeline.report.summary import MOST_DOUBTFUL, MOST_FAULTS
from returns_pipeline.store import browsing, return_photos, run_lists, run_statistics, runs
from returns_pipeline.store.browsing import Cursor, Order
from returns_pipeline.store.database import Database
from returns_pipeline.store.run_lists import RunFilter
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.jobs import request_job
from returns_pipeline.web.dependencies import Db, Pipeline, RunId, Web
from returns_pipeline.web.downloads import disposition
from returns_pipeline.web.objects import send_object
from returns_pipeline.web.pages import labelling
from returns_pipeline.web.pages.page import Person, form_of, redirect, root_of, show
from returns_pipeline.web.queries.cursors import image_cursor, pack
from returns_pipeline.web.queries.lists import ImageList, ListOfAddress
from returns_pipeline.web.queries.lookups import RUN_ID_END
from returns_pipeline.web.resources import Resources
from returns_pipeline.web.security.access import Principal, require_role

router = APIRouter()

_RUNS, _IMAGES = 50, 60
_RunPlace = Annotated[int | None, Query(ge=1, lt=RUN_ID_END)]
#: The states of a run that a person filters by.
_STATES = Words({"finished": N_("finished"), "open": N_("not finished")})


@router.get("/runs")
def list_runs(
    request: Request,
    db: Db,
    _: Person,
    kind: Annotated[str, Query(max_length=16)] = "",
    state: Annotated[str, Query(max_length=16)] = "",
    order: Annotated[str, Query(max_length=10)] = "",
    before: _RunPlace = None,
    after: _RunPlace = None,
) -> HTMLResponse:
    """Show runs, newest or oldest first: those with a smaller id than `before`, or a larger than `after`."""
    wanted = RunFilter(
        RunKind(kind) if kind in RunKind.written() else None,
        state == "finished" if state in _STATES else None,
    )
    oldest = order == "oldest"
    found = run_lists.page(db, wanted, _RUNS, oldest_first=oldest, before=before, after=after)
    kept = {
        "kind": wanted.kind,
        "state": state if state in _STATES else "",
        "order": "oldest" if oldest else "",
    }

    def link(place: run_lists.Place | None) -> str | None:
        query = {name: value for name, value in kept.items() if value}
        return f"{root_of(request)}/runs?{urlencode(query | place.parameters())}" if place else None

    return show(
        request,
        "runs.html",
        version=runs.version(db),
        runs=found.runs,
        total=run_lists.count(db, wanted),
        kinds=RunKind.written(),
        states=_STATES,
        kept=kept,
        previous=link(found.previous),
        next=link(found.next),
    )


@router.get("/runs/{run_id}")
def show_run(
    request: Request,
    web: Web,
    person: Person,
    run_id: RunId,
    in_list: ListOfAddress,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    before: Annotated[str | None, Query(max_length=200)] = None,
) -> HTMLResponse:
    """Show a run and a page of its images: those after a cursor, or those before one."""
    db = web.context.db
    run = runs.existing(db, run_id)
    in_list = _of_run(in_list)
    shown = _images(db, in_list, run_id, cursor, before)
    path = f"/runs/{run_id}"
    return show(
        request,
        "run.html",
        run=run,
        coloured=warning(web, person, run),
        images=[labelling.tile(image) for image in shown.images],
        labels=sorted(
            run_statistics.labels(db, [run_id])[run_id].items(), key=lambda each: category(each[0])
        ),
        wanted=in_list.filter(run_id),
        order=in_list.by,
        in_list=in_list.address(),
        total=_total(run, in_list, shown),
        count_address=f"/api/v1/images/count{in_list.filter_address(run=str(run_id))}",
        has_returns=return_photos.came_with(db, run_id),
        is_filtered=in_list.query(run_id).also != Filter(run_id=run_id),
        export=f"/api/v1/runs/{run_id}/export{in_list.filter_address()}",
        can_operate=person.may(Role.OPERATOR),
        label_action=f"{path}/label{in_list.address(**_place(cursor, before))}",
        **labelling.values_of_form(request, web, person, shown.images),
        previous=_page_address(request, path, in_list, "before", shown.previous),
        next=_page_address(request, path, in_list, "cursor", shown.next),
    )


class _Page(NamedTuple):
    """A page of a run's images, and the cursors of the pages around it."""

    images: Sequence[ImageResult]
    previous: Cursor | None
    next: Cursor | None


def _images(db: Database, in_list: ImageList, run_id: int, cursor: str | None, before: str | None) -> _Page:
    """Return a page of images. A place that is no cursor of this order raises RefusedError."""
    by, wanted = in_list.by, in_list.filter(run_id)
    if before:
        place = image_cursor(before, by)
        if place:
            found, earlier = browsing.page_before(db, wanted, by, place, _IMAGES)
            first = browsing.cursor_of(found[0], by) if found and earlier else None
            return _Page(found, first, browsing.cursor_of(found[-1], by) if found else None)
    after = image_cursor(cursor, by)
    found, following = browsing.page(db, wanted, by, after, _IMAGES)
    return _Page(found, browsing.cursor_of(found[0], by) if found and after else None, following)


def _total(run: RunSummary, in_list: ImageList, shown: _Page) -> tuple[int, bool]:
    """Return how many images a list has, and whether there are more: what the page knows without counting."""
    wanted = in_list.query(run.id).also
    if wanted == Filter(run_id=run.id) and in_list.by.is_of_ids:
        return run.counts.seen, False
    is_whole = shown.previous is None and shown.next is None
    return len(shown.images), not is_whole


def _of_run(in_list: ImageList) -> ImageList:
    """Return a list of a run: without a search, in an order that a run's list has."""
    order = in_list.by if in_list.by in browsing.REVERSED else Order.ID
    return in_list._replace(q="", within="", order=order.value)


def _place(cursor: str | None, before: str | None) -> dict[str, str]:
    return {name: value for name, value in (("cursor", cursor), ("before", before)) if value}


def _page_address(
    request: Request, path: str, in_list: ImageList, name: str, place: Cursor | None
) -> str | None:
    packed = pack(place)
    return f"{root_of(request)}{path}{in_list.address(**{name: packed})}" if packed else None


def warning(web: Resources, person: Principal, run: RunSummary) -> str:
    """Return that a run's model was given photos that it does not know; empty if it was given none."""
    if not run.coloured:
        return ""
    may_choose = person.may(Role.OPERATOR)
    try:
        knows = web.bundle_of(str(run.model)).knows
    except PipelineError:
        return words.coloured(run.coloured, run.counts.seen, run.model, may_choose=may_choose)
    return words.coloured(run.coloured, run.counts.seen, run.model, knows, may_choose=may_choose)


@router.get("/runs/{run_id}/report")
def show_report(request: Request, db: Db, person: Person, run_id: RunId) -> HTMLResponse:
    """Show the report of a run, as its images are now."""
    run = runs.existing(db, run_id)
    root = root_of(request)
    labels = run_statistics.labels(db, [run_id])[run_id]
    content = Content(
        sorted(labels.items(), key=lambda each: (-each[1], each[0])),
        run_statistics.reasons(db, run_id),
        _faults(db, run),
        browsing.page(db, Filter(run_id, ImageState.CLASSIFIED), Order.DOUBT, None, MOST_DOUBTFUL)[0],
    )
    body = render_body(
        run,
        content,
        f"{root}/api/v1/runs/{run_id}/export?format=csv",
        f"{root}/images",
        lambda image: f"{root}/api/v1/images/{image.id}/thumbnail",
    )
    has_file = person.role.rank >= Role.OPERATOR.rank and run.report is not None and _is_file(run.report)
    return show(request, "run_report.html", run=run, body=body, has_file=has_file)


def _faults(db: Database, run: RunSummary) -> list[ImageResult]:
    """Return some photos without a prediction. A query for a state without photos reads the whole run."""
    states = (
        (ImageState.QUARANTINED, run.counts.quarantined),
        (ImageState.FAILED, run.counts.failed),
    )
    found: list[ImageResult] = []
    for state, count in states:
        most = min(count, MOST_FAULTS - len(found))
        if most:
            found += browsing.page(db, Filter(run.id, state), Order.ID, None, most)[0]
    return found


@router.get("/runs/{run_id}/report/file", response_model=None)
def send_report(web: Web, person: Person, run_id: RunId) -> Response:
    """Send the report as the stand-alone file that was written when the run closed: it names server paths."""
    require_role(person, Role.OPERATOR)
    report = runs.existing(web.context.db, run_id).report
    if report is None or not _is_file(report):
        raise NotFoundError("The file of this report is not on this machine.")
    # As plain bytes it is saved and never shown as a page of this site.
    name, kind = f"run-{run_id}.html", "application/octet-stream"
    if is_object(str(report)):
        return send_object(web.context.settings, str(report), kind, disposition(f"run-{run_id}", "html"))
    return FileResponse(report, media_type=kind, filename=name)


def _is_file(path: Path) -> bool:
    """Whether a report can be sent. An object is asked for when it is sent."""
    return is_object(str(path)) or (os.path.isfile(path) and os.access(path, os.R_OK))  # noqa: PTH113 - raises nothing


@router.post("/runs/{run_id}/label", response_model=None)
async def label(
    request: Request,
    web: Web,
    person: Person,
    run_id: RunId,
    in_list: ListOfAddress,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    before: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Give photos one category, or take back the last action; then show the same page again."""
    in_list = _of_run(in_list)
    at = in_list.address(**_place(cursor, before))
    path = f"/runs/{run_id}"
    query = in_list.query(run_id)
    return await labelling.answer(request, web, person, query, f"{path}/label{at}", f"{path}{at}")


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
