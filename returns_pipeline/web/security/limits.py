"""Bodies that are too large are refused while they come in, before they fill the memory or the disk."""

import contextlib
from collections.abc import Set

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from returns_pipeline.web.errors import TooLargeError

#: What a request may have that brings no image: forms, and a few words of JSON.
_SMALL = 64 * 1024


class BodyLimit:
    """ASGI middleware: a request for one of `large` paths may have `most` bytes, any other 64 KiB."""

    def __init__(self, app: ASGIApp, most: int, large: Set[str]) -> None:
        """Wrap an application."""
        self._app, self._most, self._large = app, most, large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes in; answer 413 in place of the application when it is too much."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        most = self._most if path in self._large else _SMALL
        length = dict(scope["headers"]).get(b"content-length", b"0")
        came = int(length) if length.isdigit() and len(length) < 20 else 0
        if came > most:
            await _refuse(scope, receive, send, most)
            return
        came, is_over, has_begun = 0, False, False

        async def counted() -> Message:
            nonlocal came, is_over
            message = await receive()
            came += len(message.get("body", b""))
            if came > most:
                is_over = True
                raise TooLargeError(most)
            return message

        async def unless_over(message: Message) -> None:
            nonlocal has_begun
            # Whatever the application makes of a body that was cut short is not the answer.
            if not is_over or has_begun:
                has_begun = True
                await send(message)

        with contextlib.suppress(TooLargeError):
            await self._app(scope, counted, unless_over)
        if is_over and not has_begun:
            await _refuse(scope, receive, send, most)


async def _refuse(scope: Scope, receive: Receive, send: Send, most: int) -> None:
    fault = TooLargeError(most)
    answer = JSONResponse({"error": fault.message, "advice": fault.advice}, fault.http_status)
    # The rest of the body is not wanted.
    answer.headers["Connection"] = "close"
    await answer(scope, receive, send)
