"""What Celery beat enqueues, and when. Two beats, or a late one, are harmless: every task may run twice."""

from typing import Any

from celery.schedules import crontab

from returns_pipeline.records.tasks import CONTROL, Task
from returns_pipeline.settings import Settings

_HOUR = 3600


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return Celery's schedule: entry -> task name, time, queue, expiry in seconds."""
    return {
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
            "schedule": 60.0,
            "options": {"queue": CONTROL, "expires": 55},
        },
    }
