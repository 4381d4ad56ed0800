"""The original file of an image, as it came in."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any, BinaryIO
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.records.images import ImageFile
from returns_pipeline.store import audit
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.originals import address, open_original
from returns_pipeline.web.dependencies import ImageId, Pipeline, Reviewer
from returns_pipeline.web.objects import redirection
from returns_pipeline.web.queries.media_types import BYTES, SHOWN, TYPES

router = APIRouter(tags=["images"])

_BLOCK = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_UNSAFE = re.compile(r'[^ -~]|["\\\\%/]')


@router.get(
    "/images/{image_id}/original",
    summary="The original file of an image",
    response_class=StreamingResponse,
    responses={
        200: {"content": {BYTES: {}} | {each: {} for each in TYPES.values()}, "description": "The file."},
        206: {"description": "The part that `Range` names."},
        307: {"description": "An address of the object store that has the file."},
        304: {"description": "The file that `If-None-Match` names is still the same."},
        416: {"description": "The file ends before the part that `Range` names."},
    },
)
async def download(
    request: Request,
    context: Pipeline,
    person: Reviewer,
    image_id: ImageId,
    inline: Annotated[
        bool, Query(description="Let a browser show it, if it can, in place of saving it.")
    ] = False,
) -> Response:
    """Send the file as it came in; one range of bytes if `Range` names one.

    A file that is not the one that came in, by size, time and sha256, is never sent. With
    RETURNS_OBJECT_LINKS=presigned, a picture in an object store is answered with an address of the store, for
    which only its size is compared.
    """
    if context.settings.object_links == "presigned" and not inline:
        place = await run_in_threadpool(address, context, image_id)
        if place is not None:
            await run_in_threadpool(_record, context, person.name, image_id, inline)
            return redirection(place)
    file, content = await run_in_threadpool(open_original, context, image_id)
    headers = _headers(file, image_id, inline)
    tag = headers["ETag"]
    if tag in request.headers.get("if-none-match", ""):
        content.close()
        return Response(status_code=304, headers=headers)
    wanted = request.headers.get("range") if request.headers.get("if-range", tag) == tag else None
    part = _range(wanted, file.size)
    if part is None or part[0] == 0:
        # A player or a download that goes on asks for many parts.
        await run_in_threadpool(_record, context, person.name, image_id, inline)
    if part is None:
        return _stream(content, file.size, 200, headers)
    start, end = part
    if start >= end:
        content.close()
        return Response(status_code=416, headers={"Content-Range": f"bytes */{file.size}"})
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    content.seek(start)
    return _stream(content, end - start, 206, headers)


def _record(context: Context, who: str, image_id: int, inline: bool) -> None:
    action = AuditAction.VIEW if inline else AuditAction.DOWNLOAD
    audit.note(context.db, who, action, AuditSubject.IMAGE, image_id)


def _headers(file: ImageFile, image_id: int, inline: bool) -> dict[str, str]:
    is_shown = inline and file.format in SHOWN and file.width is not None
    return {
        "ETag": f'"{file.sha256 or f"{image_id}-{file.identity}"}"',
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
        "Content-Type": TYPES.get(file.format or "", BYTES),
        "Content-Disposition": "inline" if is_shown else attachment(file.name),
        # If a browser took the file for a page, its scripts would not run.
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }


def attachment(name: str) -> str:
    """Return a Content-Disposition with a file name in both forms of RFC 6266."""
    plain = _UNSAFE.sub("_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _range(text: str | None, size: int) -> tuple[int, int] | None:
    """Return begin and end of the one range that a request names; None for the whole file."""
    found = _RANGE.fullmatch(text.strip()) if text else None
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        return (max(0, size - int(last)), size) if int(last) else (size, size)
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size


def _stream(content: BinaryIO, length: int, status: int, headers: dict[str, Any]) -> StreamingResponse:
    async def blocks() -> AsyncIterator[bytes]:
        left = length
        try:
            while left and (block := await run_in_threadpool(content.read, min(_BLOCK, left))):
                left -= len(block)
                yield block
        finally:
            content.close()

    return StreamingResponse(blocks(), status, headers | {"Content-Length": str(length)})
