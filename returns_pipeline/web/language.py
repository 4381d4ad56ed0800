"""The language of a request: the user's setting, else what the browser prefers, else RETURNS_LANGUAGE."""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from returns_pipeline.languages import DEFAULT, current, negotiated, use
from returns_pipeline.languages.current import CategoryNames


class Language:
    """ASGI middleware: each request speaks the language of its `Accept-Language`.

    A log-in may change it later (`languages.prefer`). A client that asks for no page and names no language is
    a program: it gets English, whatever RETURNS_LANGUAGE says.
    """

    def __init__(self, app: ASGIApp, default: str, names: Callable[[], CategoryNames]) -> None:
        """Wrap an application; `names` returns the names of categories."""
        self._app, self._default, self._names = app, default, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request in its language."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        default = self._default if "text/html" in headers.get("accept", "") else DEFAULT
        with use(negotiated(headers.get("accept-language", ""), default), self._names):
            await self._app(scope, receive, send)


def say_language(response: Response) -> None:
    """Add the headers of a response whose text is in the language that is spoken (RFC 9110, 8.5, 12.5.5)."""
    response.headers["Content-Language"] = current()
    response.headers.append("Vary", "Accept-Language")
