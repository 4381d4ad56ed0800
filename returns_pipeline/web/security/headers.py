"""Security headers of every response."""

import re
from collections.abc import Iterable

from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ORIGIN = re.compile(r"^https?://[^/]*(?=/(?!/))")
#: A header of a response whose address is that of another host on purpose. It is not sent.
LEADS_ELSEWHERE = "x-leads-elsewhere"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def policy_for(origins: Iterable[str]) -> str:
    """Return the policy of a page whose script may send photos to these sites too."""
    return _POLICY.replace("connect-src 'self'", " ".join(["connect-src 'self'", *origins]))


class SafeHeaders:
    """ASGI middleware: no script of another site, no frame around a page, no guessing of media types."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add headers that are missing; refuse an address with a NUL, which no database accepts."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", _POLICY)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if LEADS_ELSEWHERE in headers:
                    del headers[LEADS_ELSEWHERE]
                elif "location" in headers:
                    # Only the path: the host of the request is what its sender wrote.
                    headers["location"] = _ORIGIN.sub("", headers["location"])
            await send(message)

        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            response = JSONResponse({"error": "The address contains a NUL character.", "advice": ""}, 400)
            await response(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers)
