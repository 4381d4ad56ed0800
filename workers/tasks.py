"""Every task on one screen. Each is a doorway: ids to values, one call.

A TransientFault is tried again with a growing delay of seconds; then the sweep, which asks the database,
sends the work again. A ConfigFault is not tried again: nothing heals it but a person.
"""

from pathlib import Path
from typing import Any

from returns_pipeline import explaining, nightly, working
from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.queueing import ClientPathsTask
from workers.app import app
from workers.process import pipeline

_RETRY: dict[str, Any] = {
    "autoretry_for": (TransientFault,),
    "retry_backoff": 1,
    "retry_backoff_max": 8,
    "max_retries": 3,
    # After a worker process has died. Longer, and the message would wait unacknowledged.
    "default_retry_delay": 2,
    # Expected: logged as one line, without a traceback.
    "throws": (TransientFault, ConfigFault),
}


@app.task(bind=True, **_RETRY)
def scan_incoming(self: Any, directory: str | None = None, scheduled: bool = False) -> dict[str, int]:
    """Open a run for everything in the intake folder, or in `directory`; return {"run": id}.

    Of several intakes each has a run; the id is the last one's. `scheduled`: for the newest night that was
    due, once however often it is asked.
    """
    if directory:
        return {"run": nightly.scan(pipeline(), self.request.id, Path(directory))}
    opened = (
        nightly.scan_night(pipeline()) if scheduled else nightly.scan_intakes(pipeline(), self.request.id)
    )
    return {"run": opened[-1]}


@app.task(bind=True, base=ClientPathsTask, **_RETRY)
def classify_paths(self: Any, paths: list[str], model: str | None = None) -> dict[str, int]:
    """Open a run for these files, which stay where they are; return {"run": id}."""
    return {"run": nightly.classify_paths(pipeline(), self.request.id, paths, model)}


@app.task(bind=True, **_RETRY)
def replay_run(self: Any, run_id: int, model: str) -> dict[str, int]:
    """Open a run for the classified images of another, with another model; return {"run": id}."""
    return {"run": nightly.replay(pipeline(), self.request.id, run_id, model)}


@app.task(bind=True, **_RETRY)
def retry_images(self: Any, run_id: int | None = None) -> dict[str, int]:
    """Open a run for the quarantined and failed images of one run, or of all; return {"run": id}."""
    return {"run": nightly.retry(pipeline(), self.request.id, run_id)}


@app.task(bind=True, ignore_result=True, **_RETRY)
def classify_chunk(self: Any, chunk_id: int) -> None:
    """Classify, store and archive one chunk."""
    working.classify_chunk(pipeline(), chunk_id, self.request.id)


@app.task(ignore_result=True, **_RETRY)
def explain_image(image_id: int) -> None:
    """Find out what a model looked at in an image, and which earlier returns are like it."""
    explaining.explain(pipeline(), image_id)


@app.task(ignore_result=True, **_RETRY)
def close_run(run_id: int) -> None:
    """Write a complete run's report and close it."""
    nightly.close_run(pipeline(), run_id)


@app.task(ignore_result=True, **_RETRY)
def sweep() -> None:
    """Send again what is open and nobody works on."""
    nightly.sweep(pipeline())
