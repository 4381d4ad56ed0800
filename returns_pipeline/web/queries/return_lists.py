"""A list of returns in an address: its filter and its order, and the same as a file."""

import io
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Depends, Query

from returns_pipeline.errors import RefusedError
from returns_pipeline.languages import gettext
from returns_pipeline.records.return_lists import (
    GROUPS,
    WORST_FIRST,
    Decided,
    ReturnFilter,
    ReturnOrder,
    ReturnPlace,
)
from returns_pipeline.records.returns import ReturnDecision
from returns_pipeline.report.csv_table import table_writer
from returns_pipeline.report.return_columns import COLUMNS, row_of
from returns_pipeline.settings import Settings
from returns_pipeline.store import return_lists
from returns_pipeline.store.database import Database
from returns_pipeline.web import excel
from returns_pipeline.web.parameters import DayOfForm
from returns_pipeline.web.queries.lookups import IMAGE_ID_END, RUN_ID_END

#: The verdicts and decisions that a list is filtered by.
VERDICTS = (*(str(each) for each in WORST_FIRST if each), *GROUPS)
DECISIONS = (*Decided, *ReturnDecision.written())
_BYTE_ORDER_MARK = "\ufeff"


class ReturnList(NamedTuple):
    """The filter and the order of a list; an empty or unknown value filters nothing."""

    q: str = ""
    verdict: str = ""
    decision: str = ""
    customer: str = ""
    first: date | None = None
    last: date | None = None
    run: int | None = None
    order: str = ReturnOrder.NEWEST.value

    @property
    def filter(self) -> ReturnFilter:
        """The filter of the list."""
        return ReturnFilter(
            self.verdict if self.verdict in VERDICTS else "",
            self.decision if self.decision in DECISIONS else "",
            self.customer.replace("\0", "").strip(),
            self.first,
            self.last,
            self.run,
            self.q.replace("\0", "").strip(),
        )

    @property
    def by(self) -> ReturnOrder:
        """The order of the list."""
        return ReturnOrder(self.order) if self.order in set(ReturnOrder) else ReturnOrder.NEWEST

    @property
    def is_everything(self) -> bool:
        """Whether the filter chooses all returns."""
        return self.filter == ReturnFilter()

    def address(self, **others: str | None) -> str:
        """Return the list as the query of an address, with its `?`; empty for all returns, newest first."""
        wanted = self.filter
        kept = {
            "q": wanted.q,
            "verdict": wanted.verdict,
            "decision": wanted.decision,
            "customer": wanted.customer,
            "since": wanted.first,
            "until": wanted.last,
            "run": wanted.run_id,
            "order": "" if self.by is ReturnOrder.NEWEST else self.by.value,
        } | others
        query = urlencode({name: value for name, value in kept.items() if value})
        return f"?{query}" if query else ""

    def words(self) -> list[str]:
        """Return what the filter chooses, for the name of a file."""
        wanted = self.filter
        days = [f"{day}" for day in (wanted.first, wanted.last) if day]
        run = [f"run-{wanted.run_id}"] if wanted.run_id else []
        return [each for each in (*run, wanted.verdict, wanted.decision, *days) if each]


async def _of_page(
    q: Annotated[str, Query(max_length=200)] = "",
    verdict: Annotated[str, Query(max_length=32)] = "",
    decision: Annotated[str, Query(max_length=16)] = "",
    customer: Annotated[str, Query(max_length=100)] = "",
    since: DayOfForm = None,
    until: DayOfForm = None,
    run: Annotated[int | None, Query(ge=1, lt=RUN_ID_END)] = None,
    order: Annotated[str, Query(max_length=10)] = ReturnOrder.NEWEST.value,
) -> ReturnList:
    return ReturnList(q, verdict, decision, customer, since, until, run, order)


async def _of_request(
    q: Annotated[str, Query(max_length=200, description="Part of a number, an order or a customer.")] = "",
    verdict: Annotated[
        str, Query(pattern=f"^({'|'.join(VERDICTS)})?$", description="A verdict, or several together.")
    ] = "",
    decision: Annotated[
        str, Query(pattern=f"^({'|'.join(DECISIONS)})?$", description="`open`, `decided`, or a decision.")
    ] = "",
    customer: Annotated[str, Query(max_length=100, description="The whole reference.")] = "",
    since: Annotated[date | None, Query(description="The first day of the announcement.")] = None,
    until: Annotated[date | None, Query(description="The last day of the announcement.")] = None,
    run: Annotated[
        int | None, Query(ge=1, lt=RUN_ID_END, description="Returns of which a photo came with this run.")
    ] = None,
    order: ReturnOrder = ReturnOrder.NEWEST,
) -> ReturnList:
    return ReturnList(q, verdict, decision, customer, since, until, run, order.value)


#: The list of a page, which ignores unknown values, and of a REST request, which refuses them.
ListOfPage = Annotated[ReturnList, Depends(_of_page)]
ListOfRequest = Annotated[ReturnList, Depends(_of_request)]


def place_of(values: object) -> ReturnPlace | None:
    """Return a place from what a cursor holds. Raises RefusedError for what no list wrote."""
    if values is None:
        return None
    found = _place(values) if isinstance(values, list) and len(values) == 3 else None
    if found is None or not (0 <= found.rank < len(WORST_FIRST) and 0 < found.id < IMAGE_ID_END):
        raise RefusedError("This is not a cursor of this list.", "Send the `next` of the page before.")
    return found


def _place(values: list[Any]) -> ReturnPlace | None:
    try:
        return ReturnPlace(
            int(values[0]), date.fromisoformat(values[1]) if values[1] else None, int(values[2])
        )
    except (TypeError, ValueError, OverflowError):
        return None


def values_of(place: ReturnPlace | None) -> object:
    """Return a place as a cursor holds it."""
    return None if place is None else [place.rank, place.day and place.day.isoformat(), place.id]


def csv_of(db: Database, listed: ReturnList, settings: Settings, *, bom: bool = False) -> Iterator[bytes]:
    """Yield a list as CSV, row by row; with `bom` as Excel opens it: see `export.csv_for_excel`."""
    stream = io.StringIO()
    write = table_writer(stream, COLUMNS, ZoneInfo(settings.timezone) if bom else None)
    yield ((_BYTE_ORDER_MARK if bom else "") + stream.getvalue()).encode()
    for batch in return_lists.batches(db, listed.filter, listed.by):
        stream.seek(0)
        stream.truncate()
        write([row_of(each) for each in batch])
        yield stream.getvalue().encode()


def excel_of(db: Database, listed: ReturnList, settings: Settings) -> Iterator[bytes]:
    """Yield the bytes of a list as a workbook; see `excel.workbook`."""
    settings.scratch_dir.mkdir(parents=True, exist_ok=True)
    rows = ([row_of(each) for each in batch] for batch in return_lists.batches(db, listed.filter, listed.by))
    return excel.workbook(
        COLUMNS, rows, ZoneInfo(settings.timezone), settings.scratch_dir, title=gettext("Returns")
    )
