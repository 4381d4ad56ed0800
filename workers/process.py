"""What opens and closes in each worker process. Nothing opens in the parent, so nothing crosses a fork."""

import gc
import os
import sys
from typing import Any

from celery.signals import setup_logging, worker_init, worker_process_shutdown, worker_shutdown

from returns_pipeline.broker.celery_queue import CeleryQueue
from returns_pipeline.classify.confidence import review_thresholds
from returns_pipeline.classify.runtimes.registry import load_classifier
from returns_pipeline.errors import PipelineError
from returns_pipeline.logs import configure_logging
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import models
from returns_pipeline.usecases.context import Context
from workers.app import app, settings

_opened: dict[int, Context] = {}


def context() -> Context:
    """Return this process's pipeline. The first task opens it, so a replacement child starts at once."""
    here = os.getpid()
    if here not in _opened:
        _opened.clear()
        _spare_the_collector()
        _opened[here] = Context(
            settings=settings,
            db=Database(settings.database_url),
            queue=CeleryQueue(app),
            load_classifier=lambda bundle: load_classifier(
                bundle,
                settings.runtime,
                threads=settings.worker_threads or _share_of_the_cores(),
                mixed=settings.mixed_precision,
            ),
        )
    return _opened[here]


def _spare_the_collector() -> None:
    """Let the collector pass over what is imported and loaded by now, as all of it stays."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _share_of_the_cores() -> int:
    cores = len(os.sched_getaffinity(0))
    return max(1, cores // (settings.worker_processes or cores))


@worker_init.connect
def _refuse_to_start_broken(**_: Any) -> None:
    """Stop with one sentence, before a task is taken, when no task could be done."""
    try:
        database = Database(settings.database_url)
        database.require_current()
        for bundle in models.configured(settings, database):
            review_thresholds(bundle, settings.review_threshold)
        database.close()
        CeleryQueue(app).lengths()
    except PipelineError as fault:
        sys.stderr.write(f"Error: {fault}\n")
        raise SystemExit(3) from None
    # Celery collects before it starts a process, and children share the memory that no collector touches.
    _spare_the_collector()


@worker_process_shutdown.connect
@worker_shutdown.connect
def _close(**_: Any) -> None:
    opened = _opened.pop(os.getpid(), None)
    if opened:
        opened.db.close()


@setup_logging.connect
def _log(**_: Any) -> None:
    configure_logging(settings)
