"""What a worker process opens and closes. The parent process opens nothing, so nothing crosses a fork."""

import gc
import os
import sys
from collections.abc import Callable
from multiprocessing.sharedctypes import RawValue
from typing import Any

from celery.signals import (
    setup_logging,
    task_postrun,
    task_prerun,
    worker_init,
    worker_process_shutdown,
    worker_shutdown,
    worker_shutting_down,
)

from returns_pipeline import tracing
from returns_pipeline.broker.celery_queue import CeleryQueue
from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.classify.confidence import review_thresholds
from returns_pipeline.classify.runtimes.interface import Classifier
from returns_pipeline.classify.runtimes.registry import load_classifier
from returns_pipeline.errors import PipelineError
from returns_pipeline.logs import configure_logging
from returns_pipeline.private_files import denied, make_private_folders
from returns_pipeline.records.tasks import Task
from returns_pipeline.records.text import printable
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import models
from returns_pipeline.usecases.context import Context
from workers.app import app, settings

_opened: dict[int, Context] = {}
#: Set by the parent when it is told to stop, and read by its children, which are forks. It has no lock,
#: because a child may be killed while it reads.
_stopping = RawValue("b", 0)
#: Messages that begin a trace: those that open a run. A sweep of each minute is none.
_BEGIN_A_TRACE = {Task.SCAN, Task.CLASSIFY_PATHS, Task.REPLAY, Task.RETRY}
#: The spans of the tasks that run, by message.
_spans: dict[str, tracing.Begun] = {}


def context() -> Context:
    """Return this process's context. The first task opens it, so that a replacement child starts quickly."""
    here = os.getpid()
    if here not in _opened:
        _opened.clear()
        _tune_garbage_collector()
        _opened[here] = _open()
    return _opened[here]


def _open() -> Context:
    """Open what a worker needs: database, queue and a loader of models. Each connects at its first use."""
    return Context(
        settings=settings,
        db=Database(settings.database_url),
        queue=CeleryQueue(app),
        load_classifier=_load_classifier,
        is_stopping=lambda: bool(_stopping.value),
    )


def _load_classifier(bundle: Bundle) -> Classifier:
    return load_classifier(
        bundle,
        settings.runtime,
        threads=settings.worker_threads or _cores_per_process(),
        mixed=settings.mixed_precision,
    )


def _tune_garbage_collector() -> None:
    """Exclude from collection what is imported and loaded so far: all of it stays until the end."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _cores_per_process() -> int:
    cores = len(os.sched_getaffinity(0))
    return max(1, cores // (settings.worker_processes or cores))


@worker_init.connect
def _check_before_start(**_: Any) -> None:
    """End with exit code 3 and one sentence if database, models or broker are unusable."""
    if settings.models_store:
        _in_a_fork(_check)
    else:
        _check()
    make_private_folders(settings.private_folders)
    # Children share the memory of the parent until the collector writes to it.
    _tune_garbage_collector()


def _check() -> None:
    try:
        database = Database(settings.database_url)
        database.require_current()
        for bundle in models.configured(settings, database):
            review_thresholds(bundle, settings.review_threshold)
        database.close()
        CeleryQueue(app).require_answer()
    except (PipelineError, PermissionError) as error:
        fault = denied(error) if isinstance(error, PermissionError) else error
        sys.stderr.write(f"Error: {printable(fault)}\n")
        raise SystemExit(3) from None


def _in_a_fork(check: Callable[[], None]) -> None:
    """Run a check in a process of its own: the threads of an object store would hang in forked children."""
    process = os.fork()
    if not process:
        code: Any = 1
        try:
            check()
            code = 0
        except SystemExit as end:
            code = end.code
        finally:
            sys.stderr.flush()
            os._exit(code)
    if code := os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]):
        raise SystemExit(code)


@worker_shutting_down.connect
def _tell_children(**_: Any) -> None:
    _stopping.value = 1


@worker_process_shutdown.connect
@worker_shutdown.connect
def _close(**_: Any) -> None:
    opened = _opened.pop(os.getpid(), None)
    if opened:
        opened.close()
    tracing.stop()


def _begin_span(sender: Any, task_id: str, **_: Any) -> None:
    tracing.start("worker")
    name, parent = sender.name.rpartition(".")[2], getattr(sender.request, "traceparent", None)
    if begun := tracing.begin(name, parent, is_new=sender.name in _BEGIN_A_TRACE):
        _spans[task_id] = begun


def _end_span(task_id: str, state: str | None = None, **_: Any) -> None:
    if begun := _spans.pop(task_id, None):
        tracing.end(begun, None if state == "SUCCESS" else state)


if tracing.is_wanted():
    task_prerun.connect(_begin_span)
    task_postrun.connect(_end_span)


@setup_logging.connect
def _log(**_: Any) -> None:
    configure_logging(settings)
