"""Names of downloads, and the days that they cover."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.runs import RunCounts, RunKind, RunState, RunSummary
from returns_pipeline.web.downloads import day_of, disposition, moments_of, name_of_days, name_of_run

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 11, 25)


def run_of(kind: RunKind = RunKind.NIGHTLY, directory: Path | None = None) -> RunSummary:
    """Return a run that was opened just after midnight in Berlin, which is the day before in UTC."""
    opened_at = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    counts = RunCounts(0, 0, 0, 0)
    model = ModelRef("stub", 1)
    return RunSummary(1, kind, RunState.CLOSED, directory, opened_at, opened_at, counts, model, None, None)


def test_a_name_has_the_day_and_the_intake() -> None:
    """The day is that of the installation's time zone; a run of no intake has its kind."""
    assert name_of_run(run_of(), "incoming", BERLIN) == "returns-2026-11-25-incoming"
    assert name_of_run(run_of(), "incoming", ZoneInfo("UTC")) == "returns-2026-11-24-incoming"
    assert name_of_run(run_of(directory=Path("/srv/shoes")), "x", BERLIN) == "returns-2026-11-25-shoes"
    assert name_of_run(run_of(RunKind.API, Path("/srv/spool")), "x", BERLIN) == "returns-2026-11-25-api"
    two = [run_of(), run_of(directory=Path("/srv/shoes"))]
    assert name_of_days(DAY, DAY, two[:1], "incoming") == "returns-2026-11-25-incoming"
    assert name_of_days(DAY, date(2026, 11, 30), two, "incoming") == "returns-2026-11-25-to-2026-11-30"


@pytest.mark.parametrize(
    "name", ['a"; filename="b', "../../etc", "Schuhe für Ödön", "a\r\nX: y", "鞋", "  ", "\udc80"]
)
def test_a_name_cannot_leave_its_header(name: str) -> None:
    """The header is one line of ASCII; a browser finds no folder and no second name in it."""
    found = name_of_run(run_of(directory=Path("/srv", name)), "incoming", BERLIN)
    header = disposition(found, "xlsx")
    assert header.isascii()
    assert header.isprintable()
    assert "/" not in header
    assert header.count('"') == 2
    assert header.endswith(('.xlsx"', ".xlsx"))


def test_a_name_in_another_script_is_whole_in_the_second_form() -> None:
    """RFC 6266: programs that know `filename*` get every letter, the others a name that they can write."""
    header = disposition("returns-Ödön", "csv")
    assert header == "attachment; filename=\"returns-_d_n.csv\"; filename*=UTF-8''returns-%C3%96d%C3%B6n.csv"


def test_a_day_has_as_many_hours_as_its_clock() -> None:
    """A period ends where its last day ends, also on the days on which the clocks change."""
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (DAY, 24)):
        begin, end = moments_of(day, day, BERLIN)
        assert end - begin == timedelta(hours=hours)
        assert begin.astimezone(BERLIN).date() == day


def test_yesterday_is_that_of_the_time_zone() -> None:
    """Half an hour after midnight in Berlin it is still the day before in UTC."""
    now = datetime(2026, 11, 25, 23, 30, tzinfo=UTC)
    assert day_of("yesterday", now, BERLIN) == DAY
    assert day_of("today", now, BERLIN) == date(2026, 11, 26)
    assert day_of("today", now, ZoneInfo("UTC")) == day_of(DAY, now, BERLIN) == DAY


@pytest.mark.parametrize(
    ("first", "last"), [(DAY, date(2026, 11, 24)), (date.max, date.max), (date.min, DAY)]
)
def test_impossible_periods_are_refused(first: date, last: date) -> None:
    """A period in the wrong order or beyond the calendar gives a sentence, not a fault of the server."""
    with pytest.raises(RefusedError):
        moments_of(first, last, BERLIN)
