"""Every task on one screen. Each task calls one use case.

Celery retries a TransientFault up to three times, with a delay that grows from 1 to 8 seconds. After that the
sweep sends the work again, because the database still has it open. ConfigFault and RefusedError are not
retried: a person must correct the cause.
"""

from typing import Any

from returns_pipeline.broker.client_paths import ClientPathsTask
from returns_pipeline.errors import ConfigFault, RefusedError, TransientFault
from returns_pipeline.usecases import (
    chunks,
    closing,
    drift,
    embedding,
    explanations,
    feeds,
    judging,
    learning,
    notices,
    old_runs,
    photo_looks,
    product_comparison,
    retention,
    retraining,
    reuse,
    runs,
)
from returns_pipeline.usecases import sweep as sweeping
from workers.app import app
from workers.process import context

_RETRY: dict[str, Any] = {
    "autoretry_for": (TransientFault,),
    "retry_backoff": 1,
    "retry_backoff_max": 8,
    "max_retries": 3,
    # Delay after a worker process has died. A longer one would leave the message unacknowledged for long.
    "default_retry_delay": 2,
    # Expected errors are logged in one line, without a traceback.
    "throws": (TransientFault, ConfigFault, RefusedError),
}


@app.task(bind=True, **_RETRY)
def scan_incoming(self: Any, directory: str | None = None, scheduled: bool = False) -> dict[str, int]:
    """Open a run for every photo of the intake, or of `directory`; return {"run": id}.

    Each of several intakes has a run; the id is the last one's. With `scheduled`, the run is that of the
    newest night, which opens once however often it is requested.
    """
    return {"run": runs.scan_on_request(context(), self.request.id, directory, scheduled)[-1]}


@app.task(bind=True, base=ClientPathsTask, **_RETRY)
def classify_paths(self: Any, paths: list[str], model: str | None = None) -> dict[str, int]:
    """Open a run for these files, which stay where they are; return {"run": id}."""
    return {"run": runs.classify_paths(context(), self.request.id, paths, model)}


@app.task(bind=True, **_RETRY)
def replay_run(self: Any, run_id: int, model: str) -> dict[str, int]:
    """Open a run for the classified images of another run, with another model; return {"run": id}."""
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
    """Compute the explanation of an image's prediction: heat map and similar earlier returns."""
    explanations.explain(context(), image_id)


@app.task(ignore_result=True, **_RETRY)
def look_at_photo(look_id: int) -> None:
    """Compute the vector of a photo, by which products are found."""
    photo_looks.look(context(), look_id)


@app.task(ignore_result=True, **_RETRY)
def close_run(run_id: int) -> None:
    """Write a complete run's report and close it."""
    closing.close_run(context(), run_id)


@app.task(ignore_result=True, **_RETRY)
def compare_night(run_id: int) -> None:
    """Compare the photos of a closed night with those of the nights before it."""
    drift.compare_night(context(), run_id)


@app.task(ignore_result=True, **_RETRY)
def update_report(run_id: int) -> None:
    """Write a closed run's report again, with the reviews that came after it."""
    closing.update_report(context(), run_id)


@app.task(ignore_result=True, **_RETRY)
def match_photos(chunk_id: int | None = None) -> None:
    """Compare the photos of finished chunks, of one before the others, with all photos before them."""
    reuse.match_photos(context(), chunk_id)


@app.task(ignore_result=True, **_RETRY)
def deliver_notices() -> None:
    """Send every notice that is due to webhooks and Apprise addresses."""
    notices.deliver(context())


@app.task(ignore_result=True, **_RETRY)
def sweep() -> None:
    """Send open work again that no process works on."""
    sweeping.sweep(context())


@app.task(ignore_result=True, **_RETRY)
def remove_old_photos() -> None:
    """Remove some of the photos that are older than RETURNS_KEEP_DAYS, if no run is open."""
    retention.remove_some(context())
    old_runs.remove_some(context())


@app.task(ignore_result=True, **_RETRY)
def judge_returns() -> None:
    """Judge every return whose facts have changed."""
    judging.judge_queued(context())


@app.task(bind=True, ignore_result=True, **_RETRY)
def embed_pictures(self: Any, chunk_id: int) -> None:
    """Embed one chunk of products' pictures."""
    embedding.embed_chunk(context(), chunk_id, self.request.id)


@app.task(ignore_result=True, **_RETRY)
def compare_returns() -> None:
    """Compare the photos of returns with the expected product."""
    product_comparison.compare_returns(context())


@app.task(ignore_result=True, **_RETRY)
def fetch_feeds() -> None:
    """Read changed feeds and fetch some of the photos that they list."""
    feeds.fetch_some(context())


@app.task(ignore_result=True, **_RETRY)
def learn_from_events() -> None:
    """Compute anew which products the same customers keep, once a night."""
    learning.learn_nightly(context())


@app.task(ignore_result=True, **_RETRY)
def plan_retraining() -> None:
    """Ask for the retraining of each model that is due and has enough new reviews."""
    retraining.plan(context())


# Acknowledged at its beginning: it takes hours, and a broker delivers a message again after one hour. The
# sweep sends the retraining again if its process is lost.
@app.task(ignore_result=True, acks_late=False, **_RETRY)
def retrain_model(retraining_id: int) -> None:
    """Train the next version of a model with the photos that people reviewed, and propose it."""
    retraining.retrain(context(), retraining_id)
