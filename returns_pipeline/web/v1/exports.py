"""Files with the images of one run, or of every run of some days."""

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.settings import Settings
from returns_pipeline.store import audit, runs
from returns_pipeline.store.database import utc_now
from returns_pipeline.web import downloads, export
from returns_pipeline.web.dependencies import Pipeline, RunId, Viewer
from returns_pipeline.web.downloads import Day

router = APIRouter(tags=["exports"])

_Format = Annotated[Literal["csv", "xlsx", "json", "parquet"], Query()]
_Bom = Annotated[
    bool,
    Query(
        description="CSV that Excel opens with a double click: a byte order mark, and dates in the "
        "installation's time zone."
    ),
]
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
    format: _Format = "csv",  # noqa: A002 - the parameter's name
    bom: _Bom = False,
) -> StreamingResponse:
    """Send every image of a run with its prediction and its final label, row by row."""
    settings = context.settings
    run = runs.existing(context.db, run_id)
    audit.note(context.db, person.name, AuditAction.EXPORT, AuditSubject.RUN, run_id, format=format)
    name = downloads.name_of_run(run, settings.incoming_dir.name, ZoneInfo(settings.timezone))
    return _download(settings, export.batches(context.db, [run_id]), format, bom, name)


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
    """Send every image of the runs that began on these days, by the installation's time zone, run by run."""
    settings, now = context.settings, utc_now()
    zone = ZoneInfo(settings.timezone)
    days = downloads.day_of(first, now, zone), downloads.day_of(last or first, now, zone)
    found = runs.opened_between(context.db, *downloads.moments_of(*days, zone))
    period = f"{days[0]}" if days[0] == days[1] else f"{days[0]}..{days[1]}"
    audit.note(context.db, person.name, AuditAction.EXPORT, AuditSubject.LIST, period, format=format)
    name = downloads.name_of_days(*days, found, settings.incoming_dir.name)
    return _download(settings, export.batches(context.db, [run.id for run in found]), format, bom, name)


def _download(
    settings: Settings, batches: export.Batches, kind: str, bom: bool, name: str
) -> StreamingResponse:
    chosen = export.FORMATS[kind]
    write = export.csv_for_excel if bom and kind == "csv" else chosen.write
    return StreamingResponse(
        write(batches, settings),
        media_type=chosen.media_type,
        headers={"Content-Disposition": downloads.disposition(name, kind)},
    )
