"""Images uploaded over HTTP: each has a row before its message is sent, and is processed like any other.

All uploads of one day for one model version belong to one run, which closes when the day is over.
"""

import contextlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import structlog

from returns_pipeline.errors import PipelineError, TransientFault
from returns_pipeline.photos.chunking import chunked
from returns_pipeline.records.images import FoundFile
from returns_pipeline.records.jobs import RequestKey
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.runs import RunKind, RunRequest
from returns_pipeline.records.text import SPOOLED, safe_name
from returns_pipeline.records.uploads import AcceptedUpload, AddedImage, Upload
from returns_pipeline.settings import Settings
from returns_pipeline.store import request_keys, runs
from returns_pipeline.store.database import utc_now
from returns_pipeline.store.request_keys import KeyTakenError
from returns_pipeline.store.uploads import add, chunks_of, end_days, recent_cost, unknown
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.runs import run_request

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Seconds that a chunk should take: a client waits for its whole chunk.
_CHUNK_SECONDS = 0.1
#: A spool file without a row is deleted after this time: its request was interrupted.
_ORPHAN_NS = 3600 * 10**9
#: How long a request that is repeated with its key gets the results of the first one.
_KEY_LASTS = timedelta(days=1)


def write_spool(context: Context, images: Iterable[tuple[str, bytes]]) -> list[FoundFile]:
    """Write (name, content) pairs as files of the spool, all or none; return them in the same order.

    Raises TransientFault if they cannot be written, for example because the disk is full.
    """
    request = uuid.uuid4().hex
    places: list[str] = []
    written: list[FoundFile] = []
    try:
        for number, (name, content) in enumerate(images):
            # `records.text.SPOOLED` finds the client's name in it.
            places.append(f"{context.settings.spool_dir}/{request}-{number:06}-{safe_name(name)}")
            written.append(context.photos.put(places[-1], content))
    except TransientFault as fault:
        discard(context, places)
        raise TransientFault(
            "The images cannot be written to the spool: {reason}.",
            "Free some space in RETURNS_SPOOL_DIR.",
            reason=fault.parameters.get("reason"),
        ) from fault
    return written


def discard(context: Context, places: Iterable[str]) -> None:
    """Delete spool files that have no row."""
    for place in places:
        context.photos.remove(place)


def accept(context: Context, uploads: Sequence[Upload]) -> list[AcceptedUpload | PipelineError]:
    """Insert rows for the spool files of several requests, in one transaction; nothing is sent yet.

    Returns for each request what was accepted, or its own fault: KeyTakenError if another request has its
    key, TransientFault if one of its files is gone. Then the files have no rows. An unexpected error of one
    request does not harm the others.

    Raises ConfigFault if the model is missing, TransientFault if the database does not answer.
    """
    try:
        return _accept(context, uploads)
    except PipelineError:
        raise
    except Exception as error:
        log.warning("requests_accepted_one_by_one", requests=len(uploads), reason=repr(error))
    return [_accept_alone(context, upload) for upload in uploads]


def _accept_alone(context: Context, upload: Upload) -> AcceptedUpload | PipelineError:
    try:
        return _accept(context, [upload])[0]
    except PipelineError as fault:
        return fault
    except Exception:
        log.exception("request_not_accepted")
        return PipelineError("The images could not be stored.")


def _accept(context: Context, uploads: Sequence[Upload]) -> list[AcceptedUpload | PipelineError]:
    request = run_request(context, "", RunKind.API, context.settings.spool_dir)
    for _ in range(2):
        request = replace(request, id=_request_id(utc_now(), context.settings, request))
        # First a SELECT: on PostgreSQL, each refused INSERT would use up an id.
        run_id = runs.find_request(context.db, request.id) or runs.open_run(context.db, request)
        size = _chunk_size(context, run_id)
        try:
            divided = partial(_divided, size=size)
            added = add(context.db, run_id, uploads, divided, context.photos.unchanged)
        except runs.NotScanningError:
            # The run's day ended between the two statements.
            continue
        return [_accepted(run_id, request.model, images, size) for images in added]
    raise TransientFault("The day ended while the images were accepted.", "Try again.")


def _divided(files: Sequence[FoundFile], size: int) -> Iterable[Sequence[FoundFile]]:
    """Return one chunk if all fit into it: another one would cost more than it saves."""
    return [files] if 0 < len(files) <= size else chunked(files, size)


def _accepted(
    run_id: int, model: ModelRef, images: Sequence[AddedImage | None] | None, chunk_size: int
) -> AcceptedUpload | PipelineError:
    if images is None:
        return KeyTakenError("A request with this key was accepted before.")
    there = [image for image in images if image]
    if len(there) < len(images):
        return TransientFault("A file of the request is missing in the spool.", "Try again.")
    chunk_ids = tuple(sorted({image.chunk_id for image in there}))
    return AcceptedUpload(run_id, model, chunk_ids, tuple(image.id for image in there), chunk_size)


def _chunk_size(context: Context, run_id: int) -> int:
    """Return how many images a chunk may have, so that all processes share them while clients wait."""
    cost = recent_cost(context.db, run_id)
    most = context.settings.api_batch
    return max(1, min(most, int(_CHUNK_SECONDS / cost))) if cost else most


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


def _request_id(moment: datetime, settings: Settings, request: RunRequest) -> str:
    day = moment.astimezone(ZoneInfo(settings.timezone)).date().isoformat()
    return f"api-{day}-{request.model_sha256[:32]}"


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
