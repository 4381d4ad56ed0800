"""Sends a file of an object store to a browser: through the web, or by an address of the store."""

from fastapi.responses import RedirectResponse, Response, StreamingResponse

from returns_pipeline.settings import Settings
from returns_pipeline.web.security.headers import LEADS_ELSEWHERE


def send_object(settings: Settings, place: str, kind: str, disposition: str) -> Response:
    """Return the response with an object, as RETURNS_OBJECT_LINKS says.

    A presigned address carries the type and the name that the object was written with. Raises NotFoundError,
    TransientFault.
    """
    from returns_pipeline.photos.objects import files

    if settings.object_links == "presigned":
        return redirection(files.link(place))
    headers = {
        "Content-Disposition": disposition,
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return StreamingResponse(files.stream(place), media_type=kind, headers=headers)


def redirection(address: str) -> RedirectResponse:
    """Return a redirection to a presigned address."""
    # The address is a key for some minutes: neither a cache nor the next site may have it.
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", LEADS_ELSEWHERE: "1"}
    return RedirectResponse(address, 307, headers)
