"""Images that come over HTTP: each has a row before its message is sent, and travels like those of a night.

All of one day and one version of a model belong to one run, which closes when the day is over.
"""

import contextlib
import re
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
from returns_pipeline.settings import Settings
from returns_pipeline.store import keys, received, runs
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.runs import run_request

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Somebody waits: small enough that every process gets a part of a large request.
_CHUNK = 128
#: A file that lies so long without a row belongs to a request that was cut short before it had one.
_ORPHAN_SECONDS = 3600
#: How long a request that is sent again with its key gets the answers of the first time.
_KEY_LASTS = timedelta(days=1)
#: A file of the spool is named REQUEST-NUMBER-NAME: the request's id, the image's place in it, and what is
#: left of the sender's name for it.
_SPOOLED = re.compile(r"[0-9a-f]{32}-\d{6}-")
#: Letters of a sender's file name that stay, from its end.
_KEPT = 60
_STRANGE = re.compile(r"[^A-Za-z0-9._-]")


class Accepted(NamedTuple):
    """A request's images with their rows: `images` has the id of each in the order of the request."""

    run_id: int
    model: ModelRef
    chunk_ids: tuple[int, ...]
    images: tuple[int, ...]


def write_spool(context: Context, images: Iterable[tuple[str, bytes]]) -> list[FoundFile]:
    """Write (name, content) pairs as files of the spool, all or none; return them in the same order.

    Raises TransientFault when the disk takes no more.
    """
    request = uuid.uuid4().hex
    places: list[str] = []
    written: list[FoundFile] = []
    try:
        for number, (name, content) in enumerate(images):
            places.append(f"{context.settings.spool_dir}/{request}-{number:06}-{_safe_name(name)}")
            written.append(context.photos.put(places[-1], content))
    except TransientFault as fault:
        discard(context, places)
        raise TransientFault(
            "The images cannot be kept: {reason}.",
            "Free some space in RETURNS_SPOOL_DIR.",
            reason=fault.parameters.get("reason"),
        ) from fault
    return written


def discard(context: Context, places: Iterable[str]) -> None:
    """Delete files that got no row."""
    for place in places:
        context.photos.remove(place)


def _safe_name(name: str) -> str:
    """Return what of a sender's file name can stand in one of ours: no folder, nothing hidden."""
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = _STRANGE.sub("_", last)
    return kept[-_KEPT:].lstrip(".") or "image"


def accept(context: Context, files: Sequence[FoundFile], key: RequestKey | None = None) -> Accepted:
    """Make rows for files of the spool, then send their chunks, which the sweep sends if the broker does not.

    Raises ConfigFault when the model is not there, TransientFault when the database does not answer,
    KeyTakenError when another request has the `key`: then there are no rows for these files.
    """
    request = run_request(context, "", RunKind.API, context.settings.spool_dir)
    for _ in range(2):
        request = replace(request, id=_request_id(utc_now(), context.settings, request))
        # Asked first: a refused INSERT would use up a number of PostgreSQL's every time.
        run_id = runs.find_request(context.db, request.id) or runs.open_run(context.db, request)
        try:
            chunk_ids = runs.add_chunks(
                context.db, run_id, chunking.chunked(files, _CHUNK), context.photos.is_unchanged, key
            )
        except runs.NotScanningError:
            # Its day ended between the two statements.
            continue
        for chunk_id in chunk_ids:
            if not context.send_chunk(chunk_id, RunKind.API):
                break
        ids = received.image_ids(context.db, chunk_ids)
        return Accepted(run_id, request.model, tuple(chunk_ids), tuple(ids[file.path] for file in files))
    raise TransientFault("The run of the day takes no more images.", "Try again.")


def earlier(context: Context, key: RequestKey) -> tuple[Accepted, bool] | None:
    """Return the request that has taken a key, and whether it has the same images; None without one."""
    found = keys.find(context.db, key.id)
    if found is None:
        return None
    chunk_ids = tuple(received.chunks_of(context.db, found.images))
    model = runs.model_of(context.db, found.run_id)
    return Accepted(found.run_id, model, chunk_ids, found.images), found.sha256 == key.sha256


def _request_id(moment: datetime, settings: Settings, request: RunRequest) -> str:
    day = moment.astimezone(ZoneInfo(settings.timezone)).date().isoformat()
    return f"api-{day}-{request.model_sha256[:32]}"


def tidy(context: Context, now: datetime) -> None:
    """End the runs of the days before, forget old keys, and delete what requests have left in the spool."""
    midnight = now.astimezone(ZoneInfo(context.settings.timezone)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    received.end_days(context.db, midnight)
    keys.forget(context.db, now - _KEY_LASTS)
    # Rows have real paths.
    spool = str(context.settings.spool_dir.resolve())
    if not context.photos.has_folder(spool):
        return
    before_ns = (now.timestamp() - _ORPHAN_SECONDS) * 1e9
    files = context.photos.find(spool, lambda name: not _SPOOLED.match(name))
    old = [file.path for file in files if file.mtime_ns < before_ns]
    for path in received.unknown(context.db, old):
        log.info("spool_tidied", path=path)
        with contextlib.suppress(TransientFault):
            context.photos.remove(path)
