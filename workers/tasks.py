"""Every task on one screen. Each is a doorway: ids to values, one call of a use case.

A TransientFault is retried with a growing delay of seconds; then the sweep, which asks the database, sends
the work again. ConfigFault and RefusedError are not retried: only a person can mend them.
"""

from pathlib import Path
from typing import Any

from returns_pipeline.broker.client_paths import ClientPathsTask
from returns_pipeline.errors import ConfigFault, RefusedError, TransientFault
from returns_pipeline.usecases import chunks, explanations, runs
from returns_pipeline.usecases.sweep import sweep as send_open_work_again
from workers.app import app
from workers.process import context

_RETRY: dict[str, Any] = {
    "autoretry_for": (TransientFault,),
    "retry_backoff": 1,
    "retry_backoff_max": 8,
    "max_retries": 3,
    # After a worker process has died. A longer delay would leave the message unacknowledged.
    "default_retry_delay": 2,
    # Expected: logged as one line, without a traceback.
    "throws": (TransientFault, ConfigFault, RefusedError),
}


@app.task(bind=True, **_RETRY)
def scan_incoming(self: Any, directory: str | None = None, scheduled: bool = False) -> dict[str, int]:
    """Open a run for everything in the intake folder, or in `directory`; return {"run": id}.

    With several intakes each has a run; the id is the last one's. `scheduled`: for the newest night that was
    due, once however often it is requested.
    """
    if directory:
        return {"run": runs.scan(context(), self.request.id, Path(directory))}
    opened = runs.scan_night(context()) if scheduled else runs.scan_intakes(context(), self.request.id)
    return {"run": opened[-1]}


@app.task(bind=True, base=ClientPathsTask, **_RETRY)
def classify_paths(self: Any, paths: list[str], model: str | None = None) -> dict[str, int]:
    """Open a run for these files, which stay where they are; return {"run": id}."""
    return {"run": runs.classify_paths(context(), self.request.id, paths, model)}


@app.task(bind=True, **_RETRY)
def replay_run(self: Any, run_id: int, model: str) -> dict[str, int]:
    """Open a run for the classified images of another, with another model; return {"run": id}."""
    return {"run": runs.replay(context(), self.request.id, run_id, model)}


@app.task(bind=True, **_RETRY)
def retry_images(self: Any, run_id: int | None = None) -> dict[str, int]:
    """Open a run for the quarantined and failed images of one run, or of all; return {"run": id}."""
    return {"run": runs.retry(context(), self.request.id, run_id)}


@app.task(bind=True, ignore_result=True, **_RETRY)
def classify_chunk(self: Any, chunk_id: int) -> None:
    """Classify, store and archive one chunk."""
    chunks.classify_chunk(context(), chunk_id, self.request.id)


@app.task(ignore_result=True, **_RETRY)
def explain_image(image_id: int) -> None:
    """Compute what a model looked at in an image, and which earlier returns are similar."""
    explanations.explain(context(), image_id)


@app.task(ignore_result=True, **_RETRY)
def close_run(run_id: int) -> None:
    """Write a complete run's report and close it."""
    runs.close_run(context(), run_id)


@app.task(ignore_result=True, **_RETRY)
def sweep() -> None:
    """Send open work again that no process works on."""
    send_open_work_again(context())
