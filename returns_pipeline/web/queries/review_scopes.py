"""Which images a person reviews, as the parameters of an address."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple, Self
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Query, Request

from returns_pipeline.records.reviews import ReviewKind, ReviewScope
from returns_pipeline.settings import Settings
from returns_pipeline.store.database import utc_now
from returns_pipeline.web.downloads import Day, day_of
from returns_pipeline.web.queries.lookups import RUN_ID_END

#: Each of these days has an end, and its bounds can be converted to any time zone.
_FIRST_DAY, _LAST_DAY = dt.date(1970, 1, 2), dt.date(9998, 12, 30)
#: Days that move with the calendar.
_RELATIVE: Mapping[str, Day] = {"today": "today", "yesterday": "yesterday"}
#: Text that databases can compare.
_TEXT = r"^[^\x00]*$"


class ScopeInAddress(NamedTuple):
    """The parameters of a scope; None chooses all. `label` is the predicted one, `date` that of the run.

    `today` and `yesterday` are days that move with the calendar, so that a saved view stays right.
    """

    run: int | None = None
    label: str | None = None
    intake: str | None = None
    kind: ReviewKind | None = None
    date: Day | None = None

    @classmethod
    def of_page(cls, request: Request) -> Self:
        """Return the scope of a page's address. An empty or wrong value chooses all."""
        sent = request.query_params
        run = sent.get("run", "")
        kind = sent.get("kind", "")
        return cls(
            int(run) if run.isascii() and run.isdigit() and 0 < int(run[:12]) < RUN_ID_END else None,
            sent.get("label", "").replace("\0", "")[:100] or None,
            sent.get("intake", "").replace("\0", "")[:1000] or None,
            ReviewKind(kind) if kind in ReviewKind.written() else None,
            _date(sent.get("date", "")),
        )

    def scope(self, settings: Settings) -> ReviewScope:
        """Return the scope; a date is a day of RETURNS_TIMEZONE."""
        since = until = None
        if self.date is not None:
            zone = ZoneInfo(settings.timezone)
            day = day_of(self.date, utc_now(), zone)
            since = dt.datetime.combine(day, dt.time(), zone)
            until = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), zone)
        return ReviewScope(self.run, self.label, self.intake, self.kind, since, until)

    def address(self, **more: object) -> str:
        """Return the part of an address from `?` with this scope and more parameters; empty without any."""
        values = {name: value for name, value in (self._asdict() | more).items() if value is not None}
        return f"?{urlencode(values)}" if values else ""


def _date(text: str) -> Day | None:
    if text in _RELATIVE:
        return _RELATIVE[text]
    try:
        found = dt.date.fromisoformat(text)
    except ValueError:
        return None
    return found if _FIRST_DAY <= found <= _LAST_DAY else None


async def scope_in_address(
    run: Annotated[int | None, Query(ge=1, lt=RUN_ID_END, description="Images of this run.")] = None,
    label: Annotated[
        str | None, Query(max_length=100, pattern=_TEXT, description="Images with this predicted label.")
    ] = None,
    intake: Annotated[
        str | None, Query(max_length=1000, pattern=_TEXT, description="Images of this intake folder.")
    ] = None,
    kind: Annotated[
        Literal["doubt", "audit", "marked"] | None,
        Query(description="Why they wait: the model was unsure, a sample, marked as wrong by a person."),
    ] = None,
    date: Annotated[
        dt.date | None,
        Query(ge=_FIRST_DAY, le=_LAST_DAY, description="Images of runs of this day, in RETURNS_TIMEZONE."),
    ] = None,
) -> ScopeInAddress:
    """Return the scope of a request of the REST interface."""
    return ScopeInAddress(run, label, intake, ReviewKind(kind) if kind else None, date)
