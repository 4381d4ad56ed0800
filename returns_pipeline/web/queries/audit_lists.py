"""A list of the audit log in an address: which events it has, and the same as a file."""

import io
from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Depends, Query

from returns_pipeline.languages import DEFAULT, N_, gettext, use
from returns_pipeline.records.audit import AuditEvent, AuditFilter
from returns_pipeline.report import words
from returns_pipeline.report.columns import Column
from returns_pipeline.report.csv_table import table_writer
from returns_pipeline.settings import Settings
from returns_pipeline.store import audit
from returns_pipeline.store.database import Database
from returns_pipeline.web import excel
from returns_pipeline.web.downloads import moments_of


class AuditList(NamedTuple):
    """The filter of a list; an empty value filters nothing. `first` and `last` are days like 2026-11-25."""

    by: str = ""
    action: str = ""
    first: date | None = None
    last: date | None = None

    def filter(self, zone: ZoneInfo) -> AuditFilter:
        """Return the events of the list. Raises RefusedError if its days are in the wrong order."""
        since, before = None, None
        if self.first and self.last:
            since, before = moments_of(self.first, self.last, zone)
        elif self.first:
            since, _ = moments_of(self.first, self.first, zone)
        elif self.last:
            _, before = moments_of(self.last, self.last, zone)
        return AuditFilter(self.by.strip() or None, self.action or None, since, before)

    def address(self, **others: str) -> str:
        """Return the list as the query of an address, with its `?`; empty for all events."""
        kept = {"by": self.by, "action": self.action, "from": self.first, "to": self.last}
        query = urlencode({name: value for name, value in kept.items() if value} | others)
        return f"?{query}" if query else ""


async def _of_query(
    by: Annotated[str, Query(max_length=100, description="Who did it: the exact name.")] = "",
    action: Annotated[str, Query(max_length=32, description="What was done, like `log_in`.")] = "",
    first: Annotated[date | None, Query(alias="from", description="The first day.")] = None,
    last: Annotated[date | None, Query(alias="to", description="The last day.")] = None,
) -> AuditList:
    return AuditList(by, action, first, last)


ListOfRequest = Annotated[AuditList, Depends(_of_query)]


class _Row(NamedTuple):
    """An event as a row of a file."""

    at: datetime
    who: str
    action: str
    what: str
    subject: str
    subject_id: str
    details: str


_COLUMNS = [
    Column("at", "at", datetime, N_("When"), frozenset(), is_optional=False),
    Column("who", "who", str, N_("Who"), frozenset()),
    Column("action", "action", str, N_("Action"), frozenset()),
    Column("what", "what", str, N_("What"), frozenset()),
    Column("subject", "subject", str, N_("To what"), frozenset()),
    Column("subject_id", "subject_id", str, N_("Number or name"), frozenset()),
    Column("details", "details", str, N_("Details"), frozenset()),
]


def csv_of(db: Database, wanted: AuditFilter, settings: Settings) -> Iterator[bytes]:
    """Yield a list as CSV that Excel opens with a double click, row by row; see `export.csv_for_excel`.

    It is English in every language, as programs read it.
    """
    stream = io.StringIO("\ufeff")
    stream.seek(1)
    write = table_writer(stream, _COLUMNS, ZoneInfo(settings.timezone))
    yield stream.getvalue().encode()
    for batch in audit.batches(db, wanted):
        stream.seek(0)
        stream.truncate()
        with use(DEFAULT):
            rows = list(map(_row, batch))
        write(rows)
        yield stream.getvalue().encode()


def excel_of(db: Database, wanted: AuditFilter, settings: Settings) -> Iterator[bytes]:
    """Yield the bytes of a list as a workbook; see `excel.workbook`."""
    settings.scratch_dir.mkdir(parents=True, exist_ok=True)
    rows = (list(map(_row, batch)) for batch in audit.batches(db, wanted))
    return excel.workbook(
        _COLUMNS, rows, ZoneInfo(settings.timezone), settings.scratch_dir, title=gettext("Audit")
    )


def _row(event: AuditEvent) -> _Row:
    what = words.AUDIT_ACTIONS.get(event.action, event.action)
    details = "; ".join(words.audit_details(event))
    return _Row(event.at, event.who, event.action, what, event.subject, event.subject_id, details)
