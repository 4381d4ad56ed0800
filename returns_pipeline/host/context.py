"""The context of a command: what it needs to run use cases in its own process."""

from returns_pipeline.classify.runtimes.registry import load_classifier
from returns_pipeline.records.tasks import Queue
from returns_pipeline.settings import Settings
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.context import Context


def command_context(settings: Settings, db: Database, queue: Queue) -> Context:
    """Return a context with the runtime of the settings. Nothing is loaded and nothing connects yet."""
    return Context(settings, db, queue, lambda bundle: load_classifier(bundle, settings.runtime))
