"""Files with the images of one run, of every run of some days, or of a search."""

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from returns_pipeline.errors import NotFoundError
from returns_pipeline.languages import gettext
from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.settings import Settings
from returns_pipeline.store import audit, runs
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import image_lists
from returns_pipeline.usecases.image_lists import ImageQuery
from returns_pipeline.usecases.search import MOST_CHARACTERS
from returns_pipeline.web import downloads, export
from returns_pipeline.web.dependencies import Pipeline, RunId, Viewer
from returns_pipeline.web.downloads import Day
from returns_pipeline.web.queries.filters import FilterInAddress

router = APIRouter(tags=["exports"])

_Format = Annotated[Literal["csv", "xlsx", "json", "jsonl", "parquet"], Query()]
_Bom = Annotated[
    bool,
    Query(
        description="CSV that Excel opens with a double click: a byte order mark, and dates in the "
        "installation's time zone."
    ),
]
#: Runs that a header names at most.
_MOST_NAMED = 500
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {each.media_type: {} for each in export.FORMATS.values()},
        "description": "One row for each image that was seen.",
    }
}


@router.get(
    "/runs/{run_id}/export",
    summary="The images of a run as a file",
    response_class=StreamingResponse,
    responses=_FILE,
)
def export_run(
    context: Pipeline,
    person: Viewer,
    run_id: RunId,
    wanted: FilterInAddress,
    format: _Format = "csv",  # noqa: A002 - the parameter's name
    bom: _Bom = False,
) -> StreamingResponse:
    """Send the images of a run, or those that pass a filter, with prediction and final label, row by row."""
    settings = context.settings
    run = runs.existing(context.db, run_id)
    if run.rows_removed_at:
        raise NotFoundError(
            "The photos of run {run} were removed because they are old. Its numbers and its report stay.",
            run=run_id,
        )
    audit.note(context.db, person.name, AuditAction.EXPORT, AuditSubject.RUN, run_id, format=format)
    name = downloads.name_of_run(run, settings.incoming_dir.name, ZoneInfo(settings.timezone))
    if wanted == wanted.nothing():
        return _download(settings, export.batches(context.db, [run_id]), format, bom, name)
    query = ImageQuery("", wanted.filter(run_id))
    found = image_lists.batches(context.db, settings, query, oldest_first=True)
    name = downloads.name_of_list(_today(settings), run, settings.incoming_dir.name, *wanted.words())
    return _download(settings, found, format, bom, name)


@router.get(
    "/images/export",
    summary="The images of a search as a file",
    response_class=StreamingResponse,
    responses=_FILE,
)
def export_search(
    context: Pipeline,
    _: Viewer,
    wanted: FilterInAddress,
    q: Annotated[str, Query(max_length=MOST_CHARACTERS, description="As in the search box.")] = "",
    oldest_first: bool = False,
    format: _Format = "csv",  # noqa: A002 - the parameter's name
    bom: _Bom = False,
) -> StreamingResponse:
    """Send every image that a text finds and that passes a filter, newest first, row by row."""
    settings = context.settings
    found = image_lists.batches(
        context.db, settings, ImageQuery(q, wanted.filter()), oldest_first=oldest_first
    )
    name = downloads.name_of_list(_today(settings), None, "", q, *wanted.words())
    return _download(settings, found, format, bom, name)


def _today(settings: Settings) -> date:
    return utc_now().astimezone(ZoneInfo(settings.timezone)).date()


@router.get(
    "/export",
    summary="The images of some days as a file",
    response_class=StreamingResponse,
    responses=_FILE,
)
def export_days(
    context: Pipeline,
    person: Viewer,
    first: Annotated[Day, Query(alias="from", description="The first day, like 2026-11-25.")] = "yesterday",
    last: Annotated[Day | None, Query(alias="to", description="The last day; by default the first.")] = None,
    format: _Format = "csv",  # noqa: A002 - the parameter's name
    bom: _Bom = False,
) -> StreamingResponse:
    """Send every image of the runs that began on these days, by the installation's time zone, run by run.

    Runs whose photos were removed because they are old have no rows. A workbook says so in a first sheet; the
    header `X-Runs-Without-Rows` has their ids.
    """
    settings, now = context.settings, utc_now()
    zone = ZoneInfo(settings.timezone)
    days = downloads.day_of(first, now, zone), downloads.day_of(last or first, now, zone)
    found = runs.opened_between(context.db, *downloads.moments_of(*days, zone))
    period = f"{days[0]}" if days[0] == days[1] else f"{days[0]}..{days[1]}"
    audit.note(context.db, person.name, AuditAction.EXPORT, AuditSubject.LIST, period, format=format)
    name = downloads.name_of_days(*days, found, settings.incoming_dir.name)
    batches = export.batches(context.db, [run.id for run in found])
    removed = [run.id for run in found if run.rows_removed_at]
    response = _download(settings, batches, format, bom, name, removed)
    if removed:
        response.headers["X-Runs-Without-Rows"] = ",".join(map(str, removed[:_MOST_NAMED]))
    return response


def _left_out(run_id: int) -> str:
    return gettext(
        "The photos of run {run} were removed because they are old. Its numbers and its report stay.",
        run=run_id,
    )


def _download(
    settings: Settings, batches: export.Batches, kind: str, bom: bool, name: str, removed: Sequence[int] = ()
) -> StreamingResponse:
    chosen = export.FORMATS[kind]
    write = export.csv_for_excel if bom and kind == "csv" else chosen.write
    if removed and kind == "xlsx":
        write = partial(export.excel_with_notes, notes=[_left_out(run_id) for run_id in removed])
    return StreamingResponse(
        write(batches, settings),
        media_type=chosen.media_type,
        headers={"Content-Disposition": downloads.disposition(name, kind)},
    )
