"""The audit log: who did what, when. For admins."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from returns_pipeline.records.audit import AuditEvent, AuditSubject
from returns_pipeline.store import access, audit
from returns_pipeline.web.dependencies import Pipeline
from returns_pipeline.web.pages.page import Person, root_of, show
from returns_pipeline.web.parameters import DayOfForm
from returns_pipeline.web.queries.audit_lists import AuditList
from returns_pipeline.web.queries.cursors import audit_cursor, pack_audit

router = APIRouter()

_EVENTS = 50
#: The pages of what an action was done to. `{id}` is a number.
_PAGES = {AuditSubject.IMAGE: "/images/{id}", AuditSubject.RUN: "/runs/{id}"}


@router.get("/audit")
def show_audit(
    request: Request,
    context: Pipeline,
    _: Person,
    by: Annotated[str, Query(max_length=100)] = "",
    action: Annotated[str, Query(max_length=32)] = "",
    first: Annotated[DayOfForm, Query(alias="from")] = None,
    last: Annotated[DayOfForm, Query(alias="to")] = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> HTMLResponse:
    """Show a page of events, newest first."""
    db, listed = context.db, AuditList(by, action, first, last)
    wanted = listed.filter(ZoneInfo(context.settings.timezone))
    found = audit.page(db, wanted, audit_cursor(cursor), _EVENTS + 1)
    events = found[:_EVENTS]
    here = f"{root_of(request)}/audit"
    return show(
        request,
        "audit.html",
        listed=listed,
        events=[(event, _page_of(event)) for event in events],
        names=[user.name for user in access.all_users(db)],
        newest=f"{here}{listed.address()}" if cursor else None,
        next=f"{here}{listed.address(cursor=pack_audit(events[-1].place))}" if len(found) > _EVENTS else None,
    )


def _page_of(event: AuditEvent) -> str:
    """Return the path of the page of an event's subject; empty if it has none."""
    page = next((page for kind, page in _PAGES.items() if kind == event.subject), None)
    return page.format(id=event.subject_id) if page and event.subject_id.isdecimal() else ""
