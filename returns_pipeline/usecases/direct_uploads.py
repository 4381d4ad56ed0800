"""Photos that a browser or a program sends into the bucket of an intake itself, not through the web.

It asks for an address, sends the photo there, and confirms it. Only then the photo is where a scan finds it;
its row is written by that scan, as for any other photo. An intake that is a folder, and a store that signs no
addresses, have none: then the photo travels through the web.
"""

import contextlib
from datetime import datetime
from urllib.parse import urlsplit

import structlog

from returns_pipeline.errors import ConfigFault, RefusedError, TransientFault
from returns_pipeline.photos.intake_rules import UPLOAD_LASTS
from returns_pipeline.records.places import is_object
from returns_pipeline.records.uploads import UploadAddress
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.intake_uploads import (
    Arrival,
    Upload,
    beside,
    key_of,
    note,
    require_small,
    root_of,
    target_of,
)

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Minutes between two looks for photos that were never confirmed: each look lists them.
_MINUTES = 10


def address(context: Context, upload: Upload) -> UploadAddress | None:
    """Return where a file is sent to; None if it must travel through the web.

    Raises RefusedError for a file that the intake does not take, TransientFault if too many files are
    unconfirmed or the store does not answer.
    """
    root = root_of(context, upload.intake)
    target_of(context, root, upload)
    require_small(context, upload, upload.size)
    if not _is_direct(context, root):
        return None
    from returns_pipeline.photos.objects import arrivals

    try:
        signed = arrivals.sign(root, key_of(upload))
    except ConfigFault as fault:
        log.warning("uploads_not_signed", intake=root, reason=str(fault))
        return None
    arrivals.require_room(root)
    return UploadAddress(signed.url, signed.headers, int(arrivals.SIGNED_FOR.total_seconds()))


def confirm(context: Context, upload: Upload, tag: str) -> Arrival:
    """Put a file that a client has sent to its address into the intake; `tag` is the ETag of the response.

    A request that is repeated changes nothing. Raises NotFoundError if the file has not arrived,
    ConflictError if it is another one by size or ETag, RefusedError if the intake does not take it;
    TransientFault if the store does not answer.
    """
    from returns_pipeline.photos.objects import arrivals

    root, key = root_of(context, upload.intake), key_of(upload)
    target = target_of(context, root, upload)
    require_small(context, upload, upload.size)
    if not is_object(root):
        raise RefusedError("The intake is a folder.", "Send the photo in parts.")
    folder, _, name = target.rpartition("/")
    other = f"{folder}/{beside(name, upload.sha256)}"
    arrivals.take(arrivals.Arrived(root, key, target, other, upload.sha256, upload.size, tag))
    note(context, upload)
    return Arrival(upload.size, is_done=True)


def origins(context: Context) -> list[str]:
    """Return the sites that a page may send photos to: those of the intakes' stores that sign addresses."""
    found: set[str] = set()
    for intake in context.settings.every_intake:
        root = str(intake.folder)
        if not _is_direct(context, root):
            continue
        from returns_pipeline.photos.objects import arrivals

        try:
            parts = urlsplit(arrivals.sign(root, "page").url)
        except ConfigFault as fault:
            log.warning("uploads_not_signed", intake=root, reason=str(fault))
            continue
        found.add(f"{parts.scheme}://{parts.netloc}")
    return sorted(found)


def clean_up(context: Context, now: datetime) -> None:
    """Delete photos in stores that were sent a day ago and never confirmed. Cheap: every ten minutes only."""
    if now.minute % _MINUTES:
        return
    for intake in context.settings.every_intake:
        root = str(intake.folder)
        if not is_object(root):
            continue
        from returns_pipeline.photos.objects import arrivals

        with contextlib.suppress(TransientFault, ConfigFault):
            if count := arrivals.remove_old(root, now - UPLOAD_LASTS):
                log.info("unconfirmed_uploads_removed", intake=root, count=count)


def _is_direct(context: Context, root: str) -> bool:
    return context.settings.object_links == "presigned" and is_object(root)
