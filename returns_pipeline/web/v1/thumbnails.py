"""Pictures as replies: their sizes, and how long a browser keeps one."""

from bisect import bisect_right
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import AfterValidator
from starlette.concurrency import run_in_threadpool

from returns_pipeline.web.render.pictures import SIZES, Pictures, Wanted
from returns_pipeline.web.render.placeholder import placeholder


def _in_steps(size: int) -> int:
    return SIZES[bisect_right(SIZES, size) - 1]


Size = Annotated[
    int,
    Query(ge=16, le=SIZES[-1], description=f"Rounded down to one of {', '.join(map(str, SIZES))}."),
    AfterValidator(_in_steps),
]
WEBP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/webp": {}}, "description": "A WebP picture."},
    304: {"description": "The picture that `If-None-Match` names is still the same."},
}
#: A browser shows a picture for a minute before it asks whether it is still the same.
_FRESH = "private, max-age=60"


async def picture_reply(request: Request, pictures: Pictures, wanted: Wanted, size: int) -> Response:
    """Return a picture, or a grey one with the header `X-Placeholder: 1`."""
    headers = {"ETag": f'"{wanted.key}"', "Cache-Control": _FRESH}
    if wanted.key and wanted.key in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    webp = await pictures.draw(wanted)
    if webp is None:
        webp = await run_in_threadpool(placeholder, size)
        headers = {"X-Placeholder": "1", "Cache-Control": "no-store"}
    return Response(webp, media_type="image/webp", headers=headers)
