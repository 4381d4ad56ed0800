"""When nightly scans are due: pure arithmetic on a time zone's wall clock, clock changes included."""

import hashlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from returns_pipeline.settings import Settings
from returns_pipeline.settings.notices import late_after

#: A night's run that opens later than this after it was due is a catch-up.
PUNCTUAL = timedelta(minutes=5)


def last_due(settings: Settings, now: datetime) -> datetime:
    """Return the moment, in UTC, at which the newest nightly scan was due, at or before `now`.

    A wall time that a clock change skips is moved forward by the length of the jump. A wall time that occurs
    twice counts the first time. So every date has exactly one scan.
    """
    today = now.astimezone(ZoneInfo(settings.timezone)).date()
    due = _due(settings, today.toordinal())
    return due if due <= now else _due(settings, today.toordinal() - 1)


def next_due(settings: Settings, now: datetime) -> datetime:
    """Return the moment, in UTC, at which the next nightly scan is due, after `now`."""
    newest = last_due(settings, now).astimezone(ZoneInfo(settings.timezone)).date()
    return _due(settings, newest.toordinal() + 1)


def late_at(settings: Settings, due: datetime) -> datetime:
    """Return the moment, in UTC, from which the night that was due at `due` counts as late."""
    after = late_after(settings.notice_late)
    if isinstance(after, float):
        return due + timedelta(hours=after)
    zone = ZoneInfo(settings.timezone)
    wall = due.astimezone(zone).replace(hour=after[0], minute=after[1], fold=0)
    found = wall.replace(tzinfo=zone).astimezone(UTC)
    if found > due:
        return found
    tomorrow = datetime.fromordinal(wall.toordinal() + 1).replace(hour=after[0], minute=after[1])
    return tomorrow.replace(tzinfo=zone).astimezone(UTC)


def night_request(due: datetime) -> str:
    """Return the request id of the night that was due at `due`. All requests for that night share it."""
    return f"night-{due.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def request_of_intake(request_id: str, settings: Settings, model: str) -> str:
    """Return the request id of the run for the intake of `model`.

    A single intake has the request's own id. Each of several intakes has an id of its own, which does not
    depend on their order in the settings.
    """
    if not settings.intakes:
        return request_id
    name = model.partition("/")[0]
    return f"{request_id}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _due(settings: Settings, ordinal: int) -> datetime:
    day = datetime.fromordinal(ordinal)
    wall = day.replace(
        hour=settings.scan_hour, minute=settings.scan_minute, tzinfo=ZoneInfo(settings.timezone)
    )
    return wall.astimezone(UTC)
