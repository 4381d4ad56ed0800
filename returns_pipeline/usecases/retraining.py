"""Retrainings: asked for by a person or by the schedule, and carried out by a process of their own.

No worker imports the training: it starts `python -m returns_pipeline.training.retraining`, whose memory is
free again afterwards.
"""

import os
import subprocess
import sys
import time
import uuid
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from returns_pipeline.child_limits import end_with_parent
from returns_pipeline.errors import ConfigFault, ConflictError, RefusedError
from returns_pipeline.records.retraining import HeldRetraining
from returns_pipeline.records.tasks import Task
from returns_pipeline.settings import Settings, environment_of
from returns_pipeline.store import models as model_rows
from returns_pipeline.store import retention, retrainings
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.usecases import model_store
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.schedule import last_due

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: It is asked for this long after the time of the night, so that the night has opened its run.
_AFTER_NIGHT = timedelta(minutes=30)
#: Who asks by the schedule, in the audit log.
_WHO = "schedule"
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MODULE = "returns_pipeline.training.retraining"
_POLL_SECONDS, _STOP_SECONDS = 0.5, 20.0


def request(settings: Settings, db: Database, name: str, who: str, data: Path | None = None) -> int:
    """Ask for a retraining of the active version of a model; return its id. The caller sends its message.

    `data` is the folder of the old training photos. Raises RefusedError if no version is active, ConfigFault
    if its bundle is missing, ConflictError if the model is being retrained already.
    """
    active = model_rows.active(db, name)
    if active is None:
        raise RefusedError(
            "No version of {name} is active, so there is nothing to retrain.",
            "`returns-pipeline models list` shows the models; name one that runs use, without its version.",
            name=name,
        )
    model_store.find(settings, str(active.facts.ref))
    return retrainings.add(db, active.facts.ref, who, None if data is None else str(data.absolute()))


def plan(context: Context, now: datetime | None = None) -> None:
    """Ask for a retraining of each intake's model that is due and has enough new reviews. May run twice.

    `now` is aware, by default the present moment.
    """
    settings, db, now = context.settings, context.db, now or utc_now()
    if settings.retrain == "off" or retention.night_is_open(db):
        return
    night = last_due(settings, now)
    if now < night + _AFTER_NIGHT or settings.retrain not in {"daily", _DAYS[_weekday(settings, night)]}:
        return
    for name in sorted({intake.model.partition("/")[0] for intake in settings.every_intake}):
        newest = retrainings.newest_of(db, name)
        # One in the future was asked for by a clock that was ahead.
        if newest is not None and night <= newest.requested_at <= now:
            continue
        known = retrainings.known_changes(db, name)
        if retrainings.new_labels(db, name, known) < settings.retrain_reviews:
            continue
        try:
            data = Path(newest.data) if newest is not None and newest.data is not None else None
            context.send(Task.RETRAIN, request(settings, db, name, _WHO, data))
        except (ConflictError, RefusedError, ConfigFault) as fault:
            log.warning("not_retrained", model=name, reason=str(fault))


def _weekday(settings: Settings, moment: datetime) -> int:
    return moment.astimezone(ZoneInfo(settings.timezone)).weekday()


def send_lost(context: Context) -> None:
    """Send the messages of retrainings again that no process works on. For the sweep."""
    settings = context.settings
    for each in retrainings.to_send_again(context.db, settings.lease_seconds, settings.resend_seconds):
        context.send(Task.RETRAIN, each)


def retrain(context: Context, retraining_id: int) -> None:
    """Carry out a retraining in a process of its own, and wait for it. May run twice.

    When this worker stops, the process is ended, and goes on after the next start. Raises ConfigFault if a
    package that training needs is not installed.
    """
    require_packages()
    if not retrainings.is_free(context.db, retraining_id, context.settings.lease_seconds):
        return
    held = HeldRetraining(retraining_id, uuid.uuid4().hex)
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", _MODULE, str(held.id), held.token],
        env={**os.environ, **environment_of(context.settings)},
        stdin=subprocess.DEVNULL,
        preexec_fn=end_with_parent,
    )
    is_paused = False
    try:
        while process.poll() is None and not is_paused:
            time.sleep(_POLL_SECONDS)
            is_paused = context.is_stopping()
    finally:
        if process.poll() is None:
            _end(process)
    if process.returncode < 0:
        log.warning("retraining_interrupted", retraining=retraining_id, signal=-process.returncode)
        retrainings.release(context.db, held, counts=not is_paused)


def require_packages() -> None:
    """Raise ConfigFault when a package that training needs is not installed."""
    missing = [name for name in ("keras", "matplotlib", "scipy", "nncf") if find_spec(name) is None]
    if missing:
        raise ConfigFault(
            "Training needs Keras and TensorFlow, but {missing} is not installed.",
            "`pip install -r requirements-train.txt`.",
            missing=", ".join(missing),
        )


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
