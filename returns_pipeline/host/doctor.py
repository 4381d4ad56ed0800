"""Checks everything that the nightly scan needs, and advises how to correct each fault."""

import os
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.channels.addresses import WEBHOOK, addresses
from returns_pipeline.channels.apprise_address import require_known
from returns_pipeline.classify.bundle import KERAS_MODEL, OPENVINO_MODEL, OPENVINO_WEIGHTS
from returns_pipeline.classify.confidence import review_thresholds
from returns_pipeline.errors import ConfigFault, PipelineError
from returns_pipeline.host.intake_check import check_intake
from returns_pipeline.host.notice import read_notice
from returns_pipeline.host.store_check import check_stores
from returns_pipeline.photos.file_systems import file_system_of
from returns_pipeline.photos.folder_clocks import read_clock
from returns_pipeline.photos.intake_rules import SkipRule
from returns_pipeline.photos.sources import Sources
from returns_pipeline.private_files import denied, user_name
from returns_pipeline.records.places import is_object
from returns_pipeline.records.tasks import QUEUES, TRAIN
from returns_pipeline.report.words import counted, feed_line, undelivered
from returns_pipeline.settings import Intake, Settings
from returns_pipeline.settings.places import sqlite_file
from returns_pipeline.store import deletion, outbox, retention
from returns_pipeline.store.database import Database, safe, utc_now
from returns_pipeline.usecases import feeds, intakes, model_store, models
from returns_pipeline.usecases.schedule import next_due

_LEAST_FREE_BYTES = 1024**3
#: Seconds by which a file server's clock may differ before it is mentioned.
_MOST_CLOCK_DIFFERENCE = 60


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check: its name, whether it passed, what was found, how to correct a fault."""

    name: str
    ok: bool
    message: str
    advice: str = ""


def examine(settings: Settings) -> list[Check]:
    """Run every check, whether or not the checks before it pass."""
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("database", _database),
        ("broker", _broker),
        ("workers", _workers),
        ("processes", _processes),
        ("model", check_model),
        ("intake", _intake),
        ("folders", _folders),
        ("stores", check_stores),
        ("disk", _disk),
        ("clock", _clock),
        ("notices", _notices),
        ("retention", _retention),
    ]
    return [_run(name, check, settings) for name, check in checks]


def _run(name: str, check: Callable[[Settings], str], settings: Settings) -> Check:
    try:
        return Check(name, True, check(settings))
    except (PipelineError, PermissionError) as error:
        fault = denied(error) if isinstance(error, PermissionError) else error
        return Check(name, False, fault.message, fault.advice)


def _database(settings: Settings) -> str:
    with _opened(settings) as database:
        database.require_current()
        return f"{safe(database.url)} has the tables of this version"


@contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database_url)
    try:
        yield database
    finally:
        database.close()


def _broker(settings: Settings) -> str:
    queue = open_queue(settings)
    queue.require_writable()
    waiting = queue.lengths()
    return "takes messages; waiting: " + ", ".join(f"{name} {length:,}" for name, length in waiting.items())


def _workers(settings: Settings) -> str:
    served = open_queue(settings).served(timeout=1.0)
    wanted = QUEUES if settings.retrain == "off" else (*QUEUES, TRAIN)
    missing = [name for name in wanted if name not in served]
    if missing:
        raise ConfigFault(
            "No worker serves the queue {missing_names}.",
            "Start one: `returns-pipeline worker -Q {queues}`, or everything: `returns-pipeline up`.",
            missing_names=" nor ".join(missing),
            queues=",".join(missing),
        )
    return "every queue is served: " + ", ".join(
        sorted({worker for names in served.values() for worker in names})
    )


def _processes(settings: Settings) -> str:
    pausing = read_notice(settings.home)
    if pausing is None:
        return "`returns-pipeline up` does not run for this home"
    if pausing:
        raise ConfigFault(
            "{ends}; `returns-pipeline up` starts it again and again, at least once a minute.",
            "Read the end of its log in {logs}, and correct what it says.",
            ends="; ".join(f"{name} {reason}" for name, reason in pausing.items()),
            logs=settings.home / "logs",
        )
    return "`returns-pipeline up` runs, and so do all its processes"


def check_model(settings: Settings) -> str:
    """Verify the bundles of all intakes against their checksums; return a line about them.

    Raises ConfigFault if a bundle is missing or damaged, or does not support RETURNS_REVIEW_THRESHOLD.
    """
    if _run("database", _database, settings).ok:
        with _opened(settings) as database:
            bundles = models.configured(settings, database)
    else:  # the bundles that a first run would use
        bundles = [model_store.find(settings, intake.model) for intake in settings.every_intake]
    for bundle in bundles:
        for name in (KERAS_MODEL, OPENVINO_MODEL, OPENVINO_WEIGHTS):
            # The images of CPU services have no Keras models: OpenVINO runs without them.
            is_spare = name == KERAS_MODEL and settings.runtime != "keras" and OPENVINO_MODEL in bundle.sha256
            if name in bundle.sha256 and not (is_spare and not (bundle.folder / name).exists()):
                bundle.file(name)
        review_thresholds(bundle, settings.review_threshold)
    found = "; ".join(f"{bundle.ref}, {len(bundle.labels)} labels" for bundle in bundles)
    return f"{found}, all files match their checksums"


def _intake(settings: Settings) -> str:
    is_skipped = SkipRule(settings.skip_patterns)
    found = [_place(intake, is_skipped) for intake in settings.every_intake]
    if _run("database", _database, settings).ok:
        with _opened(settings) as database:
            if alarms := intakes.alarms(settings, database, utc_now()):
                raise alarms[0]
            found += [feed_line(each.name, each.counts) for each in feeds.status(settings, database)]
            for folder in (each.folder.resolve() for each in settings.every_intake if not each.feed):
                if is_object(str(folder)):  # a bucket is never unmounted
                    continue
                place = file_system_of(str(folder))
                if not any(folder.iterdir()) and (fault := intakes.emptiness_now(database, folder, place)):
                    raise fault
    return ", ".join(found)


def _place(intake: Intake, is_skipped: Callable[[str], bool]) -> str:
    """Return a line about an intake. The folder of a feed is made when its first photo is fetched."""
    if intake.feed and not intake.feed.is_file():
        raise ConfigFault(
            "The file of the feed {feed} does not exist: {file}.",
            "Write the file there, or correct RETURNS_INTAKES.",
            feed=intake.feed_name,
            file=intake.feed,
        )
    if intake.feed and not intake.folder.exists():
        return str(intake.folder)
    if is_object(str(intake.folder)):
        Sources().require_folder(str(intake.folder))
        return str(intake.folder)
    return check_intake(intake.folder, is_skipped)


def _folders(settings: Settings) -> str:
    folders = [intake.folder for intake in settings.every_intake]
    folders += [settings.archive_dir, settings.quarantine_dir, settings.report_dir]
    devices: set[object] = set()
    for folder in folders:
        if is_object(str(folder)):
            devices.add(str(folder).split("/", 3)[2])
            continue
        existing = _nearest(folder)
        try:
            probe = existing / f".returns-doctor-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ConfigFault(
                "Files cannot be written to {folder}: {reason}.",
                "Give the user {user} write permission, for example with `chown -R {user} {folder}`.",
                user=user_name(),
                folder=folder,
                reason=error.strerror,
            ) from error
        devices.add(existing.stat().st_dev)
    moves = "several file systems or buckets, so that each move is a copy"
    if len(devices) == 1:
        moves = "one file system, so that each move is a rename"
        if is_object(str(folders[0])):
            moves = "one bucket, so that the store copies each photo itself"
    return f"writable; on {moves}{_open_to_others(settings)}"


def _open_to_others(settings: Settings) -> str:
    """Return which places with personal data other users can read, and how to close them."""
    places = [*settings.private_folders, settings.home / "logs", sqlite_file(settings.database_url)]
    found = [str(place) for place in places if place and place.exists() and place.stat().st_mode & 0o004]
    if not found:
        return ""
    return f"; other users can read {', '.join(found)}: close with `chmod -R go= {shlex.join(found)}`"


def _disk(settings: Settings) -> str:
    free = shutil.disk_usage(_nearest(settings.home)).free
    if free < _LEAST_FREE_BYTES:
        raise ConfigFault(
            "Only {free:.1f} GB are free on the disk of {home}.",
            "Free some disk space before the next night.",
            free=free / 1e9,
            home=settings.home,
        )
    return f"{free / 1e9:.1f} GB free"


def _clock(settings: Settings) -> str:
    now = utc_now()
    found = f"{now:%Y-%m-%d %H:%M:%S} UTC; the next night is at {next_due(settings, now):%Y-%m-%d %H:%M} UTC"
    for intake in settings.every_intake:
        # A difference harms no scan, see `photos.settling`, but people compare times.
        theirs = read_clock(str(intake.folder))
        ahead = 0.0 if theirs is None else (theirs - time.time_ns()) / 1e9
        if abs(ahead) > _MOST_CLOCK_DIFFERENCE:
            word = "ahead" if ahead > 0 else "behind"
            found += f"; the clock of {intake.folder} is {abs(ahead):,.0f} seconds {word}"
    return found


def _notices(settings: Settings) -> str:
    known = addresses(settings).values()
    for address in known:
        if address.recipient.channel != WEBHOOK:
            require_known(address)
    if _run("database", _database, settings).ok:
        with _opened(settings) as database:
            found = outbox.counts(database)
        if found.failing or found.given_up:
            raise ConfigFault(
                "{told}",
                "`returns-pipeline notify list` shows why; `returns-pipeline notify retry` tries again.",
                told=undelivered(found),
            )
    if not known:
        return "no address gets notices; RETURNS_WEBHOOKS and RETURNS_APPRISE set some"
    return "every notice is delivered: " + ", ".join(address.recipient.shown for address in known)


def _retention(settings: Settings) -> str:
    kept = f"photos are kept for {counted(settings.keep_days, 'day')}"
    if not settings.keep_days:
        kept = "photos are kept for ever; RETURNS_KEEP_DAYS sets a limit"
    elif settings.keep_rows_days:
        kept = f"{kept}, the rows of their runs for {counted(settings.keep_rows_days, 'day')}"
    if not _run("database", _database, settings).ok:
        return kept
    with _opened(settings) as database:
        left = [each for each in deletion.open_removals(database) if each.error]
        last = retention.last(database)
    if left:
        raise ConfigFault(
            "The files of {count} deleted images are still there. The first: {reason}",
            "Correct the cause; the program tries again. Once a file is gone, the deletion is complete.",
            count=len(left),
            reason=left[0].error,
        )
    if last is None:
        return kept
    if last.error and (last.counts.failed or last.counts.different):
        raise ConfigFault(
            "{count} photos older than {days} days could not be removed. The last: {reason}",
            "Correct the cause; the program tries again after the next night.",
            count=last.counts.failed + last.counts.different,
            days=last.keep_days,
            reason=last.error,
        )
    removed = counted(last.counts.removed, "photo")
    return f"{kept}; the last pass began {last.started_at:%Y-%m-%d %H:%M} UTC and removed {removed}"


def _nearest(folder: Path) -> Path:
    """Return the folder or its nearest parent that exists. Missing folders are created when needed."""
    return next(place for place in (folder, *folder.parents) if place.is_dir())
