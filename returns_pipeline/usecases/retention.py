"""Removes the photos that are older than RETURNS_KEEP_DAYS. Results, names and labels stay.

A pass follows each night, while no run is open. It goes over the chunks of photos, oldest first, for some
seconds at a time. Photos that wait for a review, and those of open runs, are kept.
"""

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from returns_pipeline.errors import ConflictError, ImageFault, PipelineError, RefusedError
from returns_pipeline.photos import kept_pictures
from returns_pipeline.photos.source import PhotoSource
from returns_pipeline.records.removal import RetentionCounts
from returns_pipeline.settings import Settings
from returns_pipeline.store import retention
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.retention import Held, OldChunk, OldPhoto, Place
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.schedule import last_due

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Seconds that one message takes, of each minute.
_SECONDS = 10.0
#: A pass begins this long after the time of the night, so that the night has opened its run.
_AFTER_NIGHT = timedelta(minutes=30)
#: Chunks that are read in one query.
_AT_ONCE = 50
#: Files that are removed between two looks at the time.
_FILES = 500


class Preview(NamedTuple):
    """What retention would remove now, and when the oldest of these photos came in."""

    counts: RetentionCounts
    oldest: datetime | None


def remove_some(context: Context, now: datetime | None = None) -> None:
    """Remove old photos for some seconds, if a pass is due or open and no run is open. May run twice.

    `now` is aware, by default the present moment.
    """
    settings, db, now = context.settings, context.db, now or utc_now()
    if not settings.keep_days or not _is_due(settings, db, now) or retention.night_is_open(db):
        return
    deadline = time.monotonic() + _SECONDS
    counts = _go_on(settings, db, context.photos, now, lambda: time.monotonic() > deadline)
    if counts and counts.removed:
        log.info("old_photos_removed", **counts._asdict())


def remove_all(settings: Settings, db: Database, photos: PhotoSource) -> RetentionCounts:
    """Remove every old photo now, by hand; return the counts of the pass.

    Raises RefusedError without RETURNS_KEEP_DAYS, ConflictError while a run or another pass is open.
    """
    _require_days(settings)
    if retention.night_is_open(db):
        raise ConflictError("A run is open now.", "Try again when it is finished: retention slows it down.")
    counts = _go_on(settings, db, photos, utc_now(), lambda: False)
    if counts is None:
        raise ConflictError("Another process removes old photos now.", "Try again in some minutes.")
    return counts


def preview(settings: Settings, db: Database) -> Preview:
    """Return what `remove_all` would remove. Raises RefusedError without RETURNS_KEEP_DAYS."""
    _require_days(settings)
    counts, oldest, after = RetentionCounts(), None, None
    spool = str(settings.spool_dir.resolve())
    while found := retention.old_chunks(db, _before(settings, utc_now()), after, _AT_ONCE):
        for chunk in found:
            old = retention.photos(db, chunk.id, spool)
            wanted = [each for each in old if chunk.is_finished and not each.waits]
            counts = counts.plus(_kept_back(chunk, old)).plus(_removed(wanted))
            oldest = oldest or (chunk.received_at if wanted else None)
        after = Place(found[-1].received_at, found[-1].id)
    return Preview(counts, oldest)


def _require_days(settings: Settings) -> None:
    if not settings.keep_days:
        raise RefusedError(
            "Photos are kept for ever: RETURNS_KEEP_DAYS is 0.", "Set it to a number of days, for example 90."
        )


def _before(settings: Settings, now: datetime) -> datetime:
    return now - timedelta(days=settings.keep_days)


def _is_due(settings: Settings, db: Database, now: datetime) -> bool:
    """Whether a pass is open, or none has begun since the last night."""
    last = retention.last(db)
    if last is None or last.finished_at is None or last.keep_days != settings.keep_days:
        return True
    night = last_due(settings, now) + _AFTER_NIGHT
    # A pass in the future was begun by a clock that was ahead.
    return now >= night and not night <= last.started_at <= now


def _go_on(
    settings: Settings, db: Database, photos: PhotoSource, now: datetime, is_over: Callable[[], bool]
) -> RetentionCounts | None:
    """Work on a pass until its end, or until `is_over` or a run opens; None if another process does."""
    held = retention.begin(db, settings.keep_days, now)
    if held is None:
        return None
    before = _before(settings, now)
    while found := retention.old_chunks(db, before, held.after, _AT_ONCE):
        for chunk in found:
            following = _remove_chunk(settings, db, photos, held, chunk)
            if following is None:
                return held.counts
            held = following
            if is_over() or retention.night_is_open(db):
                retention.pause(db, held)
                return held.counts
    retention.finish(db, held)
    return held.counts


def _remove_chunk(
    settings: Settings, db: Database, photos: PhotoSource, held: Held, chunk: OldChunk
) -> Held | None:
    old = retention.photos(db, chunk.id, str(settings.spool_dir.resolve()))
    counts = _kept_back(chunk, old)
    wanted = [each for each in old if chunk.is_finished and not each.waits]
    gone: list[int] = []
    removed: list[OldPhoto] = []
    error = None
    for start in range(0, len(wanted), _FILES):
        some = wanted[start : start + _FILES]
        kept_pictures.remove(settings.home / kept_pictures.FOLDER, [each.file.image_id for each in some])
        results = photos.remove_originals([each.file for each in some])
        for each in some:
            result = results[each.file.image_id]
            if isinstance(result, PipelineError):
                is_other = isinstance(result, ImageFault)
                counts = counts.plus(RetentionCounts(different=is_other, failed=not is_other))
                error = f"{each.file.path}: {result}"
                log.warning("old_photo_stays", image=each.file.image_id, reason=str(result))
                continue
            gone.append(each.file.image_id)
            if result:
                removed.append(each)
    counts = counts.plus(_removed(removed))._replace(gone=len(gone) - len(removed))
    is_empty = chunk.is_finished and len(gone) == len(old)
    following = retention.record(db, held, chunk, gone, counts, is_empty=is_empty, error=error)
    for folder, root in {
        (each.file.path.rpartition("/")[0], each.file.root) for each in wanted if not each.in_intake
    }:
        photos.remove_empty([folder], root)
    return following


def _kept_back(chunk: OldChunk, old: list[OldPhoto]) -> RetentionCounts:
    if not chunk.is_finished:
        return RetentionCounts(open_runs=chunk.size)
    return RetentionCounts(waiting=sum(each.waits for each in old))


def _removed(photos: list[OldPhoto]) -> RetentionCounts:
    places = Counter(
        "spool" if each.in_intake else "archive" if each.is_classified else "quarantine" for each in photos
    )
    return RetentionCounts(**places, size=sum(each.file.size for each in photos))
