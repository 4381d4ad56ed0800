"""Every task on one screen. Each is a doorway: ids to values, one call.

A TransientFault is tried again with a growing delay of seconds; then the sweep, which asks the database,
sends the work again. A ConfigFault is not tried again: nothing heals it but a person.
"""

from pathlib import Path
from typing import Any

from returns_pipeline import nightly
from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.queueing import ClientPathsTask
from workers.app import app
from workers.process import pipeline

_RETRY: dict[str, Any] = {
    "autoretry_for": (TransientFault,),
    "retry_backoff": 1,
    "retry_backoff_max": 8,
    "max_retries": 3,
    # After a worker's death; a longer delay would leave the message unacknowledged for minutes.
    "default_retry_delay": 5,
    # Expected: logged as one line, without a traceback.
    "throws": (TransientFault, ConfigFault),
}


@app.task(bind=True, **_RETRY)
def scan_incoming(self: Any, directory: str | None = None) -> dict[str, int]:
    """Open a run for everything in the intake folder, or in `directory`; return {"run": id}."""
    return {"run": nightly.scan(pipeline(), self.request.id, Path(directory) if directory else None)}


@app.task(bind=True, base=ClientPathsTask, **_RETRY)
def classify_paths(self: Any, paths: list[str]) -> dict[str, int]:
    """Open a run for these files, which stay where they are; return {"run": id}."""
    return {"run": nightly.classify_paths(pipeline(), self.request.id, paths)}


@app.task(ignore_result=True, **_RETRY)
def classify_chunk(chunk_id: int) -> None:
    """Classify, store and archive one chunk."""
    nightly.classify_chunk(pipeline(), chunk_id)


@app.task(ignore_result=True, **_RETRY)
def close_run(run_id: int) -> None:
    """Write a complete run's report and close it."""
    nightly.close_run(pipeline(), run_id)


@app.task(ignore_result=True, **_RETRY)
def sweep() -> None:
    """Send again what is open and nobody works on."""
    nightly.sweep(pipeline())
