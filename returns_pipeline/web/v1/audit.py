"""The audit log: who did what, when."""

from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from returns_pipeline.records.audit import AuditAction, AuditEvent, AuditSubject
from returns_pipeline.store import audit
from returns_pipeline.web import downloads, excel
from returns_pipeline.web.dependencies import Admin, Pipeline
from returns_pipeline.web.queries.audit_lists import ListOfRequest, csv_of, excel_of
from returns_pipeline.web.queries.cursors import audit_cursor, pack_audit

router = APIRouter(tags=["audit"])

_TYPES = {"csv": "text/csv", "xlsx": excel.MEDIA_TYPE}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {each: {} for each in _TYPES.values()}, "description": "One row for each event."}
}


class Event(BaseModel):
    """One action. `subject` is the kind of what it was done to, and `subject_id` its number or name."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    who: str
    action: str
    subject: str
    subject_id: str
    detail: dict[str, Any] = Field(description="Depends on the action.")

    @classmethod
    def of(cls, event: AuditEvent) -> "Event":
        """Return an event."""
        return cls(
            at=event.at,
            who=event.who,
            action=event.action,
            subject=event.subject,
            subject_id=event.subject_id,
            detail=event.detail,
        )


class Events(BaseModel):
    """A page of events; `next` is the cursor of the next page."""

    model_config = ConfigDict(frozen=True)

    events: list[Event]
    next: str | None


@router.get("/audit", summary="Who did what, when")
def list_events(
    context: Pipeline,
    _: Admin,
    listed: ListOfRequest,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
) -> Events:
    """Return a page of events, newest first; reviews are among them."""
    wanted = listed.filter(ZoneInfo(context.settings.timezone))
    found = audit.page(context.db, wanted, audit_cursor(cursor), limit + 1)
    shown = found[:limit]
    return Events(
        events=[Event.of(event) for event in shown],
        next=pack_audit(shown[-1].place) if len(found) > limit else None,
    )


@router.get(
    "/audit/export",
    summary="The audit log as a file",
    response_class=StreamingResponse,
    responses=_FILE,
)
def export(
    context: Pipeline,
    person: Admin,
    listed: ListOfRequest,
    format: Annotated[Literal["csv", "xlsx"], Query()] = "csv",  # noqa: A002 - the parameter's name
) -> StreamingResponse:
    """Send every event that the filter allows, newest first, row by row."""
    settings, db = context.settings, context.db
    wanted = listed.filter(ZoneInfo(settings.timezone))
    audit.note(db, person.name, AuditAction.EXPORT, AuditSubject.LIST, "audit", format=format)
    rows = (excel_of if format == "xlsx" else csv_of)(db, wanted, settings)
    days = [f"{day}" for day in (listed.first, listed.last) if day]
    return StreamingResponse(
        rows,
        media_type=_TYPES[format],
        headers={"Content-Disposition": downloads.disposition("-".join(["audit", *days]), format)},
    )
