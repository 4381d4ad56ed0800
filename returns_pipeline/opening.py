"""What every run is opened with: the version of the model that is active now, and the size of its chunks."""

from pathlib import Path

from returns_pipeline import registry
from returns_pipeline.errors import ConfigFault
from returns_pipeline.photos import chunking
from returns_pipeline.pipeline import Pipeline
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.runs import RunKind, RunRequest
from returns_pipeline.store import chunks, jobs


def run_request(
    pipeline: Pipeline, request_id: str, kind: RunKind, directory: Path | None, model: str | None = None
) -> RunRequest:
    """Return the request for a run with `model`, NAME or NAME/VERSION, by default the settings' one.

    Raises ConfigFault when that model is not there.
    """
    bundle = registry.choose(pipeline.settings, pipeline.db, model)
    return RunRequest(request_id, kind, directory, bundle.ref, bundle.digest, bundle.metrics)


def require_wanted(pipeline: Pipeline, request_id: str) -> None:
    """Raise ConfigFault for a request that somebody has cancelled meanwhile."""
    if jobs.is_cancelled(pipeline.db, request_id):
        raise ConfigFault("This request was cancelled.", "Ask for it again if it is wanted after all.")


def chunk_size(pipeline: Pipeline, model: ModelRef) -> int:
    """Return the most images that one chunk of a model's run should have."""
    settings = pipeline.settings
    if settings.chunk_size:
        return settings.chunk_size
    return chunking.size_for(chunks.recent_cost(pipeline.db, model), settings.chunk_seconds)
