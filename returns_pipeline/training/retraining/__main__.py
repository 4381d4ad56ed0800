"""Carries out one retraining: `python -m returns_pipeline.training.retraining ID TOKEN`, as a worker does."""

import os
import sys
from collections.abc import Mapping

import structlog

from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.classify.runtimes.registry import load_classifier
from returns_pipeline.errors import PipelineError
from returns_pipeline.logs import configure_logging
from returns_pipeline.settings import load_settings
from returns_pipeline.store.database import Database
from returns_pipeline.training.retraining.work import carry_out
from returns_pipeline.usecases.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")


class _Log:
    """Logs each stage. Implements `pipeline.recipe.Listener`."""

    def stage(self, name: str) -> None:
        """Log the new stage."""
        log.info("retraining", stage=name)

    def progress(self, done: int, total: int, numbers: Mapping[str, float] | None = None) -> None:
        """Log nothing: a log is no progress bar."""

    def warn(self, sentence: str) -> None:
        """Log a warning."""
        log.warning("retraining", note=sentence)


def main(retraining_id: int, token: str) -> int:
    """Carry out a retraining; return the exit code."""
    settings = load_settings()
    configure_logging(settings)
    # A training takes every core for long; classifying comes first.
    os.nice(10)
    db = Database(settings.database_url)
    context = Context(
        settings, db, open_queue(settings), lambda bundle: load_classifier(bundle, settings.runtime)
    )
    try:
        carry_out(context, retraining_id, _Log(), token)
    except PipelineError as fault:
        log.warning("retraining_interrupted", retraining=retraining_id, reason=str(fault))
        return fault.exit_code
    finally:
        context.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
