"""What a download of images is named, and which days it covers."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.runs import RunSummary
from returns_pipeline.records.text import printable

#: A day of the calendar, or one that moves with it: a link to yesterday's list stays right.
Day = date | Literal["today", "yesterday"]
#: Characters that a file system, a shell or a header takes for something else than a letter of a name.
_UNSAFE = re.compile(r"[^\w.()+-]+|^\.+")
_MOST_LETTERS = 60


def day_of(day: Day, now: datetime, zone: ZoneInfo) -> date:
    """Return a day as a date of the installation's time zone."""
    if isinstance(day, date):
        return day
    today = now.astimezone(zone).date()
    return today if day == "today" else today - timedelta(days=1)


def moments_of(first: date, last: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return when the days from `first` to `last` begin and when they are over, in UTC.

    Raises RefusedError if they are in the wrong order or beyond the calendar.
    """
    if last < first:
        raise RefusedError(
            "The period ends before it begins.",
            "`from` is its first day and `to` its last.",
        )
    try:
        begin, end = (
            datetime.combine(day, time(), zone).astimezone(UTC) for day in (first, last + timedelta(days=1))
        )
    except OverflowError:
        raise RefusedError("These days are beyond the calendar.", "Choose days of this century.") from None
    return begin, end


def name_of_run(run: RunSummary, intake: str, zone: ZoneInfo) -> str:
    """Return the file name of a run's images, without its ending: its day and its intake."""
    return _joined("returns", f"{run.opened_at.astimezone(zone):%Y-%m-%d}", _source(run, intake))


def name_of_days(first: date, last: date, found: Iterable[RunSummary], intake: str) -> str:
    """Return the file name of a period's images, without its ending; with the intake if there is only one."""
    sources = {_source(run, intake) for run in found if run.kind.is_of_intake}
    days = [f"{first}"] if first == last else [f"{first}", "to", f"{last}"]
    return _joined("returns", *days, sources.pop() if len(sources) == 1 else "")


def name_of_list(day: date, run: RunSummary | None, intake: str, *chosen: str | None) -> str:
    """Return the file name of a list's images, without its ending: the day it is made, and what it is."""
    source = [f"run-{run.id}", _source(run, intake)] if run else ["search"]
    return _joined("returns", f"{day}", *source, *(each for each in chosen if each))


def name_of_returns(day: date, *chosen: str) -> str:
    """Return the file name of a list of returns, without its ending: the day it is made, and what it has."""
    return _joined("checked-returns", f"{day}", *chosen)


def disposition(name: str, ending: str) -> str:
    """Return the header Content-Disposition of a file, in ASCII and in full. RFC 6266, RFC 8187."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    header = f'attachment; filename="{plain}.{ending}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(f'{name}.{ending}', safe='')}"


def _source(run: RunSummary, intake: str) -> str:
    if not run.kind.is_of_intake:
        return run.kind.value
    return run.directory.name if run.directory else intake


def _joined(*parts: str) -> str:
    safe: Sequence[str] = [_UNSAFE.sub("-", printable(part)).strip("-")[:_MOST_LETTERS] for part in parts]
    return "-".join(part for part in safe if part)
