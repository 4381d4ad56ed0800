"""Images uploaded over HTTP: each has a row before its message is sent, and is processed like any other.

All uploads of one day for one model version belong to one run, which closes when the day is over.
"""

import contextlib
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import structlog

from returns_pipeline.errors import PipelineError, TransientFault
from returns_pipeline.photos.chunking import evenly
from returns_pipeline.records.images import FoundFile
from returns_pipeline.records.jobs import RequestKey
from returns_pipeline.records.runs import RunKind
from returns_pipeline.records.text import SPOOLED, safe_name
from returns_pipeline.records.uploads import AcceptedUpload, AddedImage, Upload
from returns_pipeline.store import request_keys, runs
from returns_pipeline.store.request_keys import KeyTakenError
from returns_pipeline.store.uploads import add, chunks_of, end_days, unknown
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.upload_days import UploadDay, UploadDays

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: A spool file without a row is deleted after this time: its request was interrupted.
_ORPHAN_NS = 3600 * 10**9
#: How long a request that is repeated with its key gets the results of the first one.
_KEY_LASTS = timedelta(days=1)


def write_spool(context: Context, images: Iterable[tuple[str, bytes]]) -> list[FoundFile]:
    """Write (name, content) pairs as files of the spool, all or none; return them in the same order.

    Raises TransientFault if they cannot be written, for example because the disk is full.
    """
    request = uuid.uuid4().hex
    # `records.text.SPOOLED` finds the client's name in it.
    named = ((f"{request}-{at:06}-{safe_name(name)}", content) for at, (name, content) in enumerate(images))
    try:
        return context.photos.put_all(str(context.settings.spool_dir), named)
    except TransientFault as fault:
        raise TransientFault(
            "The images cannot be written to the spool: {reason}.",
            "Free some space in RETURNS_SPOOL_DIR.",
            reason=fault.parameters.get("reason"),
        ) from fault


def discard(context: Context, places: Iterable[str]) -> None:
    """Delete spool files that have no row."""
    for place in places:
        context.photos.remove(place)


def accept(
    context: Context, uploads: Sequence[Upload], days: UploadDays
) -> list[AcceptedUpload | PipelineError]:
    """Insert rows for the spool files of several requests, in one transaction; nothing is sent yet.

    Returns for each request what was accepted, or its own fault: KeyTakenError if another request has its
    key, TransientFault if one of its files is gone. Then the files have no rows. An unexpected error of one
    request does not harm the others.

    Raises ConfigFault if the model is missing, TransientFault if the database does not answer.
    """
    try:
        return _accept(context, uploads, days)
    except PipelineError:
        raise
    except Exception as error:
        log.warning("requests_accepted_one_by_one", requests=len(uploads), reason=repr(error))
    return [_accept_alone(context, upload, days) for upload in uploads]


def _accept_alone(context: Context, upload: Upload, days: UploadDays) -> AcceptedUpload | PipelineError:
    try:
        return _accept(context, [upload], days)[0]
    except PipelineError as fault:
        return fault
    except Exception:
        log.exception("request_not_accepted")
        return PipelineError("The images could not be stored.")


def _accept(
    context: Context, uploads: Sequence[Upload], days: UploadDays
) -> list[AcceptedUpload | PipelineError]:
    for _ in range(2):
        day = days.today(context)
        try:
            divided = partial(evenly, size=day.chunk_size)
            added = add(context.db, day.run_id, uploads, divided, context.photos.unchanged)
        except runs.NotScanningError:
            # The run's day ended between the two statements.
            days.forget_run()
            continue
        return [_accepted(day, images) for images in added]
    raise TransientFault("The day ended while the images were accepted.", "Try again.")


def _accepted(day: UploadDay, images: Sequence[AddedImage | None] | None) -> AcceptedUpload | PipelineError:
    if images is None:
        return KeyTakenError("A request with this key was accepted before.")
    there = [image for image in images if image]
    if len(there) < len(images):
        return TransientFault("A file of the request is missing in the spool.", "Try again.")
    chunk_ids = tuple(sorted({image.chunk_id for image in there}))
    return AcceptedUpload(
        day.run_id, day.model, chunk_ids, tuple(image.id for image in there), day.chunk_size
    )


def send(context: Context, accepted: Iterable[AcceptedUpload]) -> bool:
    """Send the chunks of requests, each once; return whether the broker took them. If not, the sweep does."""
    chunk_ids = sorted({chunk_id for upload in accepted for chunk_id in upload.chunk_ids})
    return context.send_chunks(chunk_ids, RunKind.API)


def find_by_key(context: Context, key: RequestKey) -> tuple[AcceptedUpload, bool] | None:
    """Return the request that took a key, and whether its images are the same; None if the key is free."""
    found = request_keys.find(context.db, key.id)
    if found is None:
        return None
    chunk_ids = tuple(chunks_of(context.db, found.images))
    model = runs.model_of(context.db, found.run_id)
    return AcceptedUpload(found.run_id, model, chunk_ids, found.images), found.sha256 == key.sha256


def clean_up(context: Context, now: datetime) -> None:
    """End the runs of earlier days, delete expired keys, and delete spool files of interrupted requests."""
    midnight = now.astimezone(ZoneInfo(context.settings.timezone)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    end_days(context.db, midnight)
    request_keys.forget(context.db, now - _KEY_LASTS)
    # Resolved, because rows hold resolved paths.
    spool = str(context.settings.spool_dir.resolve())
    if not context.photos.has_folder(spool):
        return
    files = context.photos.find(spool, lambda name: not SPOOLED.match(name), with_clock=True)
    # By the clock of the spool's file server, which may differ from this machine's.
    old = [file.path for file in files if file.now_ns and file.now_ns - file.mtime_ns > _ORPHAN_NS]
    for path in unknown(context.db, old):
        log.info("spool_tidied", path=path)
        with contextlib.suppress(TransientFault):
            context.photos.remove(path)
