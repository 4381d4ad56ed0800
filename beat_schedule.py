"""What Celery beat enqueues, and when. Two beats, or a late one, are harmless: every task may run twice."""

from datetime import datetime, timedelta
from typing import Any

from celery.schedules import crontab, schedule

from returns_pipeline.records.tasks import CONTROL, Task
from returns_pipeline.settings import Settings

_HOUR = 3600


class Every(schedule):
    """A schedule for each so many seconds, also after the clock was set back.

    Beat keeps the last time that it sent an entry. If that is in the future, Celery waits until then.
    """

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        """Return how long the entry must wait; it is due if it was last sent in the future."""
        every: timedelta = self.run_every  # type: ignore[attr-defined]
        remaining: timedelta = super().remaining_estimate(last_run_at)
        return remaining if remaining <= every else timedelta()


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return Celery's schedule: entry -> task name, time, queue, expiry in seconds."""
    entries: dict[str, dict[str, Any]] = {
        # A scan takes every photo that is present, so a message older than a day adds nothing. `scheduled`:
        # two beats request the same run, and the sweep requests a night that was missed.
        "nightly-scan": {
            "task": Task.SCAN.value,
            "schedule": crontab(hour=settings.scan_hour, minute=settings.scan_minute),
            "kwargs": {"scheduled": True},
            "options": {"queue": CONTROL, "expires": 23 * _HOUR},
        },
        # A sweep that waited for a minute is superseded by the next one.
        "sweep": {
            "task": Task.SWEEP.value,
            "schedule": Every(60.0),
            "options": {"queue": CONTROL, "expires": 55},
        },
    }
    if settings.keep_days:
        # Each message removes photos for some seconds, once a day and while no run is open.
        entries["retention"] = {
            "task": Task.RETENTION.value,
            "schedule": Every(60.0),
            "options": {"queue": CONTROL, "expires": 55},
        }
    if settings.learn_events:
        # Learns once after each night, while no run is open.
        entries["learning"] = {
            "task": Task.LEARN.value,
            "schedule": Every(600.0),
            "options": {"queue": CONTROL, "expires": 590},
        }
    if settings.retrain != "off":
        # Asks for a retraining once after each night that is due, while no run is open.
        entries["retraining"] = {
            "task": Task.PLAN_RETRAINING.value,
            "schedule": Every(600.0),
            "options": {"queue": CONTROL, "expires": 590},
        }
    if any(intake.feed for intake in settings.every_intake):
        # Each message fetches for some seconds. One that waited for a minute is superseded by the next one.
        entries["feeds"] = {
            "task": Task.FETCH_FEEDS.value,
            "schedule": Every(60.0),
            "options": {"queue": CONTROL, "expires": 55},
        }
    return entries
