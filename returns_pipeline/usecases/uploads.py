"""Images uploaded over HTTP: each has a row before its message is sent, and is processed like any other.

All uploads of one day for one model version belong to one run, which closes when the day is over.
"""

import contextlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import structlog

from returns_pipeline.errors import TransientFault
from returns_pipeline.photos import chunking
from returns_pipeline.records.images import FoundFile
from returns_pipeline.records.jobs import RequestKey
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.runs import RunKind, RunRequest
from returns_pipeline.records.text import SPOOLED, safe_name
from returns_pipeline.settings import Settings
from returns_pipeline.store import request_keys, runs, uploads
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.runs import run_request

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Images in a chunk. Small, so that all processes share a large request while its client waits.
_CHUNK = 128
#: A spool file without a row is deleted after this time: its request was interrupted.
_ORPHAN_NS = 3600 * 10**9
#: How long a request that is repeated with its key gets the results of the first one.
_KEY_LASTS = timedelta(days=1)


class AcceptedUpload(NamedTuple):
    """A request whose images have rows: `images` holds their ids in the order of the request."""

    run_id: int
    model: ModelRef
    chunk_ids: tuple[int, ...]
    images: tuple[int, ...]


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


def accept(
    context: Context,
    files: Sequence[FoundFile],
    key: RequestKey | None = None,
    number: str | None = None,
) -> AcceptedUpload:
    """Insert rows for spool files, then send their chunks; if the broker is away, the sweep sends them.

    The images belong to the return `number`, if their sender named one; it went through `return_number`.
    Raises ConfigFault if the model is missing, TransientFault if the database does not answer, and
    KeyTakenError if another request has the `key`: then these files have no rows.
    """
    request = run_request(context, "", RunKind.API, context.settings.spool_dir)
    for _ in range(2):
        request = replace(request, id=_request_id(utc_now(), context.settings, request))
        # First a SELECT: on PostgreSQL, each refused INSERT would use up an id.
        run_id = runs.find_request(context.db, request.id) or runs.open_run(context.db, request)
        try:
            chunk_ids = runs.add_chunks(
                context.db, run_id, chunking.chunked(files, _CHUNK), context.photos.is_unchanged, key, number
            )
        except runs.NotScanningError:
            # The run's day ended between the two statements.
            continue
        context.send_chunks(chunk_ids, RunKind.API)
        ids = uploads.image_ids(context.db, chunk_ids)
        return AcceptedUpload(
            run_id, request.model, tuple(chunk_ids), tuple(ids[file.path] for file in files)
        )
    raise TransientFault("The day ended while the images were accepted.", "Try again.")


def find_by_key(context: Context, key: RequestKey) -> tuple[AcceptedUpload, bool] | None:
    """Return the request that took a key, and whether its images are the same; None if the key is free."""
    found = request_keys.find(context.db, key.id)
    if found is None:
        return None
    chunk_ids = tuple(uploads.chunks_of(context.db, found.images))
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
    uploads.end_days(context.db, midnight)
    request_keys.forget(context.db, now - _KEY_LASTS)
    # Resolved, because rows hold resolved paths.
    spool = str(context.settings.spool_dir.resolve())
    if not context.photos.has_folder(spool):
        return
    files = context.photos.find(spool, lambda name: not SPOOLED.match(name), with_clock=True)
    # By the clock of the spool's file server, which may differ from this machine's.
    old = [file.path for file in files if file.now_ns and file.now_ns - file.mtime_ns > _ORPHAN_NS]
    for path in uploads.unknown(context.db, old):
        log.info("spool_tidied", path=path)
        with contextlib.suppress(TransientFault):
            context.photos.remove(path)
