"""Limits of request bodies: too large a body is refused while it arrives, before it fills memory or disk."""

import contextlib
from collections.abc import Set

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from returns_pipeline.web.errors import TooLargeError

#: Bytes of a request without images: a form, or a little JSON.
_SMALL = 64 * 1024


class BodyLimit:
    """ASGI middleware: a body for one of the `large` paths may have `most` bytes, any other 64 KiB."""

    def __init__(self, app: ASGIApp, most: int, large: Set[str]) -> None:
        """Wrap an application."""
        self._app, self._most, self._large = app, most, large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the bytes that arrive; respond 413 in place of the application if there are too many."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        most = self._most if path in self._large else _SMALL
        length = dict(scope["headers"]).get(b"content-length", b"0")
        received = int(length) if length.isdigit() and len(length) < 20 else 0
        if received > most:
            await _refuse(scope, receive, send, most)
            return
        received, is_over, has_begun = 0, False, False

        async def counted() -> Message:
            nonlocal received, is_over
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                is_over = True
                raise TooLargeError(most)
            return message

        async def unless_over(message: Message) -> None:
            nonlocal has_begun
            # The application's response to an incomplete body is dropped.
            if not is_over or has_begun:
                has_begun = True
                await send(message)

        with contextlib.suppress(TooLargeError):
            await self._app(scope, counted, unless_over)
        if is_over and not has_begun:
            await _refuse(scope, receive, send, most)


async def _refuse(scope: Scope, receive: Receive, send: Send, most: int) -> None:
    fault = TooLargeError(most)
    response = JSONResponse({"error": fault.message, "advice": fault.advice}, fault.http_status)
    # The client must not send the rest of the body.
    response.headers["Connection"] = "close"
    await response(scope, receive, send)
