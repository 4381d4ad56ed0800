"""Lists of returns, and the same as files."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.records.return_lists import ListedReturn
from returns_pipeline.report.return_columns import as_dict
from returns_pipeline.store import audit, return_lists, runs
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases.context import Context
from returns_pipeline.web import downloads, excel
from returns_pipeline.web.dependencies import Pipeline, RunId, Viewer
from returns_pipeline.web.queries.cursors import pack, unpack
from returns_pipeline.web.queries.return_lists import (
    ListOfRequest,
    ReturnList,
    csv_of,
    excel_of,
    place_of,
    values_of,
)
from returns_pipeline.web.security.access import Principal

router = APIRouter(tags=["returns"])

_TYPES = {"csv": "text/csv", "xlsx": excel.MEDIA_TYPE}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {each: {} for each in _TYPES.values()}, "description": "One row for each return."}
}


_Format = Annotated[Literal["csv", "xlsx"], Query()]
_Bom = Annotated[bool, Query(description="CSV that Excel opens with a double click.")]


class ReturnInList(BaseModel):
    """One return. `verdict` and `sureness` are null until there is a verdict."""

    model_config = ConfigDict(frozen=True)

    number: str
    order_number: str | None
    customer: str | None = Field(description="The shop's reference.")
    product: str | None
    title: str | None
    announced_on: date | None = Field(description="Null if the return was not announced.")
    expected: str | None
    found: str | None = Field(description="The category that the photos show.")
    found_product: str | None = Field(
        description="The product that a photo looks more like than like the expected one."
    )
    likeness: float | None = Field(description="How alike a photo and the expected product look, at most 1.")
    found_likeness: float | None = Field(description="How alike the photo and `found_product` look.")
    verdict: str | None
    earlier_returns: str | None = Field(
        description="The numbers of the returns with which reused photos came before."
    )
    sureness: float | None = Field(description="The probability of the verdict, where the model decided.")
    reason: str | None = Field(description="Why, in a sentence.")
    verdict_at: datetime | None
    photos: int
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None
    decision_note: str | None
    note: str | None

    @classmethod
    def of(cls, listed: ListedReturn) -> "ReturnInList":
        """Return a return of a list."""
        return cls(**as_dict(listed))


class ReturnsInList(BaseModel):
    """A page of returns; `next` is the cursor of the next page. `total` is counted up to 10,000."""

    model_config = ConfigDict(frozen=True)

    returns: list[ReturnInList]
    next: str | None
    total: int
    total_is_exact: bool


@router.get("/returns", summary="Returns, filtered")
def list_returns(
    context: Pipeline,
    _: Viewer,
    listed: ListOfRequest,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
) -> ReturnsInList:
    """Return a page of returns, the newest or the worst first."""
    db, wanted = context.db, return_lists.resolved(context.db, listed.filter)
    found = return_lists.page(db, wanted, listed.by, place_of(unpack(cursor)), limit)
    total, has_more = return_lists.count(db, wanted)
    return ReturnsInList(
        returns=[ReturnInList.of(each) for each in found.returns],
        next=pack(values_of(found.next)),
        total=total,
        total_is_exact=not has_more,
    )


@router.get("/returns/export", summary="Returns as a file", response_class=StreamingResponse, responses=_FILE)
def export_returns(
    context: Pipeline,
    person: Viewer,
    listed: ListOfRequest,
    format: _Format = "csv",  # noqa: A002 - the parameter's name
    bom: _Bom = False,
) -> StreamingResponse:
    """Send every return that the filter allows, row by row."""
    return _download(context, person, listed, format, bom)


@router.get(
    "/runs/{run_id}/returns.csv",
    summary="The returns of a run as CSV",
    response_class=StreamingResponse,
    responses=_FILE,
)
def export_run_as_csv(
    context: Pipeline, person: Viewer, run_id: RunId, bom: _Bom = False
) -> StreamingResponse:
    """Send every return of which a photo came with the run, row by row."""
    runs.existing(context.db, run_id)
    return _download(context, person, ReturnList(run=run_id), "csv", bom)


@router.get(
    "/runs/{run_id}/returns.xlsx",
    summary="The returns of a run as a workbook",
    response_class=StreamingResponse,
    responses=_FILE,
)
def export_run_as_excel(context: Pipeline, person: Viewer, run_id: RunId) -> StreamingResponse:
    """Send every return of which a photo came with the run."""
    runs.existing(context.db, run_id)
    return _download(context, person, ReturnList(run=run_id), "xlsx", bom=False)


def _download(
    context: Context, person: Principal, listed: ReturnList, kind: str, bom: bool
) -> StreamingResponse:
    settings, db = context.settings, context.db
    day = utc_now().astimezone(ZoneInfo(settings.timezone)).date()
    name = downloads.name_of_returns(day, *listed.words())
    audit.note(db, person.name, AuditAction.EXPORT, AuditSubject.LIST, name, format=kind)
    rows = excel_of(db, listed, settings) if kind == "xlsx" else csv_of(db, listed, settings, bom=bom)
    return StreamingResponse(
        rows,
        media_type=_TYPES[kind],
        headers={"Content-Disposition": downloads.disposition(name, kind)},
    )
