"""Alarms about intakes: a night that was not taken, a folder that is empty because its share is not mounted.

They are read from the database: a page must not wait for a file server that does not answer.
"""

from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from returns_pipeline.errors import ConfigFault
from returns_pipeline.languages import N_
from returns_pipeline.settings import Settings
from returns_pipeline.store import feeds, intakes, nights
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import schedule

_MOUNT = N_(
    "If it is a network drive, connect it again; if photos arrive elsewhere, correct RETURNS_INCOMING_DIR."
)
_MOVED = N_(
    "It lies on {now} instead of {before}. If it is a network drive, connect it again; if photos arrive "
    "elsewhere, correct RETURNS_INCOMING_DIR."
)


def alarms(settings: Settings, db: Database, now: datetime) -> list[ConfigFault]:
    """Return what is wrong with the intakes at `now`, an aware moment.

    The message is for everyone; the advice, with settings and commands, is for operators.
    """
    found = []
    due = schedule.last_due(settings, now)
    night = schedule.night_request(due)
    for intake in settings.every_intake:
        request = schedule.request_of_intake(night, settings, intake.model)
        is_late = now - due > schedule.PUNCTUAL
        if is_late and nights.night_is_missing(db, request, due):
            found.append(
                ConfigFault(
                    "The photos in the folder {folder} were not taken in for the night of "
                    "{due:%Y-%m-%d %H:%M} ({zone}).",
                    "Run `returns-pipeline doctor` to see why.",
                    folder=intake.folder,
                    due=due.astimezone(ZoneInfo(settings.timezone)),
                    zone=settings.timezone,
                )
            )
        elif intake.feed is None and (fault := emptiness(db, _resolved(intake.folder))):
            found.append(fault)
        reading = feeds.last_reading(db, intake.feed_name) if intake.feed else None
        if reading and reading.error:
            found.append(
                ConfigFault(
                    "The feed {feed} was not read to its end: {reason}",
                    "Correct the file {file}; the program reads it again.",
                    feed=intake.feed_name,
                    reason=reading.error,
                    file=intake.feed,
                )
            )
    return found


@cache
def _resolved(folder: Path) -> Path:
    """Return a folder without links, read once in each process: later the file server may not answer."""
    return folder.resolve()


def is_of_feed(settings: Settings, folder: Path) -> bool:
    """Whether photos come into a folder, a resolved path, from a feed: it is empty until they are fetched."""
    return any(intake.feed and intake.folder.resolve() == folder for intake in settings.every_intake)


def emptiness(db: Database, folder: Path) -> ConfigFault | None:
    """Return why an intake, a resolved path, may be empty by mistake; None without such a reason.

    An intake whose photos were all archived has none: its file system is the same as when they arrived.
    """
    history = intakes.history(db, folder)
    if history is None or not history.is_empty:
        return None
    if not history.had_photos:
        return ConfigFault(
            "The folder {folder} is empty, and no photo ever arrived there.", _MOUNT, folder=folder
        )
    return _moved(folder, history.file_system, history.photos_file_system)


def emptiness_now(db: Database, folder: Path, file_system: str) -> ConfigFault | None:
    """Return why an intake, a resolved path that is empty now, may be so by mistake; None if it is well.

    `file_system` is where it lies now. Finds a share that went after the last scan.
    """
    history = intakes.history(db, folder)
    if history is None or not history.had_photos:
        return None
    before = history.photos_file_system if history.is_empty else history.file_system
    return _moved(folder, file_system, before)


def _moved(folder: Path, now: str, before: str) -> ConfigFault | None:
    if not before or not now or before == now:
        return None
    return ConfigFault(
        "The folder {folder} is empty, and perhaps it is not the folder where photos arrive.",
        _MOVED,
        folder=folder,
        now=now,
        before=before,
    )
