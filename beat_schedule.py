"""What Celery beat enqueues, and when. Two beats or a late one do no harm: every task may run twice."""

from typing import Any

from celery.schedules import crontab

from returns_pipeline.queueing import CONTROL, SCAN, SWEEP
from returns_pipeline.settings import Settings

_HOUR = 3600


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return Celery's schedule: entry -> task name, time, queue, expiry in seconds."""
    return {
        # The scan takes everything that is open, so one message that outlives a day would add nothing.
        "nightly-scan": {
            "task": SCAN,
            "schedule": crontab(hour=settings.scan_hour, minute=settings.scan_minute),
            "options": {"queue": CONTROL, "expires": 23 * _HOUR},
        },
        # A sweep that waited for a minute is overtaken by the next one.
        "sweep": {
            "task": SWEEP,
            "schedule": 60.0,
            "options": {"queue": CONTROL, "expires": 55},
        },
    }
