"""Every date has exactly one night, also at clock changes."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from returns_pipeline.settings import Settings, load_settings
from returns_pipeline.usecases.schedule import last_due, next_due, night_request


def _settings(hour: int, minute: int, zone: str = "Europe/Berlin") -> Settings:
    return load_settings(scan_hour=hour, scan_minute=minute, timezone=zone)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize(("hour", "minute"), [(2, 0), (2, 30), (0, 0), (23, 59)])
def test_every_date_of_a_year_has_exactly_one_night(zone: str, hour: int, minute: int) -> None:
    """In a year with both clock changes, checked every ten minutes, each date has one night."""
    settings = _settings(hour, minute, zone)
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    nights: list[datetime] = []
    while moment < datetime(2027, 1, 1, 12, tzinfo=UTC):
        due = last_due(settings, moment)
        assert due <= moment < next_due(settings, moment)
        if not nights or nights[-1] != due:
            nights.append(due)
        moment += timedelta(minutes=10)
    dates = [due.astimezone(ZoneInfo(zone)).date() for due in nights]
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(dates))
    assert len({night_request(due) for due in nights}) == len(nights)
    assert {next_due(settings, due) for due in nights[:-1]} == set(nights[1:])


def test_a_skipped_wall_time_is_moved_forward() -> None:
    """On 29 March 2026 half past two does not exist in Berlin: the night is at half past three."""
    due = last_due(_settings(2, 30), datetime(2026, 3, 29, 12, tzinfo=UTC))
    assert due.astimezone(ZoneInfo("Europe/Berlin")).strftime("%d %H:%M %Z") == "29 03:30 CEST"


def test_a_repeated_wall_time_counts_the_first_time() -> None:
    """On 25 October 2026 half past two occurs twice in Berlin: the night is the first, in summer time."""
    due = last_due(_settings(2, 30), datetime(2026, 10, 25, 12, tzinfo=UTC))
    assert due == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
