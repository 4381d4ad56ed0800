"""The `Host` header of a request: exactly one, and a name or an address."""

import re

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

#: A name, an IPv4 address or an IPv6 address in brackets, and perhaps a port. RFC 9110, 7.2.
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253}))(?::([0-9]{1,5}))?")


class OneHost:
    """ASGI middleware: respond 400 to a request whose host is missing, doubled or invalid."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the requests with one valid host."""
        if scope["type"] != "http" or is_valid(scope):
            await self._app(scope, receive, send)
            return
        response = JSONResponse(
            {"error": "The request needs one Host header with a name or an address.", "advice": ""}, 400
        )
        response.headers["Connection"] = "close"
        await response(scope, receive, send)


def is_valid(scope: Scope) -> bool:
    """Whether a request names one valid host. HTTP/1.0 knows no hosts, so there it may be missing."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if not hosts:
        return bool(scope.get("http_version") == "1.0")
    found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    return found is not None and int(found[1] or 0) <= 65_535
