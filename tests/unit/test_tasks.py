"""Every task has a queue, a Celery task and a use case in the in-process queue."""

import subprocess
import sys

from returns_pipeline.broker.in_process import USE_CASES
from returns_pipeline.records.tasks import QUEUES, TASK_QUEUES, TRAIN, Task
from tests.support import Installation


def test_every_task_is_served(sqlite_home: Installation) -> None:
    """A name that one of the places does not know would be a message that no process can handle."""
    script = (
        "from workers.tasks import app; print(*(name for name in app.tasks if name.startswith('workers.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=sqlite_home.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == set(Task) == set(USE_CASES) == set(TASK_QUEUES)
    assert set(TASK_QUEUES.values()) <= {*QUEUES, TRAIN}
