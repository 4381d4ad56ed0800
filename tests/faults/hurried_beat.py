"""A beat that waits half a second where others wait longer: `celery -A tests.faults.hurried_beat beat`.

FAULT_BEAT names the entries of the schedule that it sends.
"""

import os

from beat_schedule import Every
from workers.app import app

__all__ = ["app"]

_SECONDS = 0.5
#: A message that no worker takes is superseded by others. An outage leaves a few of them, not hundreds.
_EXPIRES = 3

app.conf.beat_schedule = {
    name: {
        **app.conf.beat_schedule[name],
        "schedule": Every(_SECONDS),
        "options": {**app.conf.beat_schedule[name]["options"], "expires": _EXPIRES},
    }
    for name in os.environ["FAULT_BEAT"].split(",")
}
