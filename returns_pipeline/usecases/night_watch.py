"""How the newest night of each intake stands, by a few cheap queries: for monitoring."""

from datetime import datetime
from typing import NamedTuple

from returns_pipeline.settings import Settings
from returns_pipeline.store import nights
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import schedule


class NightState(NamedTuple):
    """The newest night that was due, of the intake of `model`.

    `is_missing`: it has no run, five minutes after it was due. `is_late`: it is not finished, although it
    counts as late by RETURNS_NOTICE_LATE. `changes`: properties of its photos that are not as usual.
    """

    model: str
    is_missing: bool
    is_late: bool
    changes: int


def states(settings: Settings, db: Database, now: datetime) -> list[NightState]:
    """Return the state of the newest night of each intake at `now`, an aware moment."""
    due = schedule.last_due(settings, now)
    is_past = now - due > schedule.PUNCTUAL
    counts_as_late = now >= schedule.late_at(settings, due)
    found = []
    for intake in settings.every_intake:
        request = schedule.request_of_intake(schedule.night_request(due), settings, intake.model)
        state = nights.state(db, request)
        is_closed, changes = state or (False, 0)
        is_missing = state is None and nights.night_is_missing(db, request, due)
        is_open = is_missing or (state is not None and not is_closed)
        name = intake.model.partition("/")[0]
        found.append(NightState(name, is_missing and is_past, is_open and counts_as_late, changes))
    return found
