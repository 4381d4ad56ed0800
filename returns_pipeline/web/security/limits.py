"""Limits of request bodies: one that is too large or too slow is refused while it arrives."""

import asyncio
import contextlib
from collections.abc import Set
from typing import NamedTuple

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from returns_pipeline.errors import PipelineError
from returns_pipeline.settings import Settings
from returns_pipeline.web.errors import SlowBodyError, TooLargeError

#: Bytes of a request without images: a form, or a little JSON.
_SMALL = 64 * 1024
#: Bytes of a part of a file.
PART = 8 * 1024 * 1024


class BodyLimits(NamedTuple):
    """A large body may have `most` bytes. On average over `seconds`, `least` bytes a second must arrive."""

    most: int
    least: int
    seconds: float


def body_limits(settings: Settings) -> BodyLimits:
    """Return the limits that the settings name."""
    return BodyLimits(settings.api_max_bytes, settings.web_min_bytes_per_second, settings.web_receive_seconds)


class BodyLimit:
    """ASGI middleware: a body for one of the `large` paths may have many bytes, any other 64 KiB.

    A part of a file, which is put below the path `parts`, may have 8 MiB.
    """

    def __init__(self, app: ASGIApp, limits: BodyLimits, large: Set[str], parts: str | None = None) -> None:
        """Wrap an application."""
        self._parts = parts
        self._app, self._limits, self._large = app, limits, large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the bytes that arrive; respond 413 or 408 in place of the application if that is needed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        most = self._limits.most if path in self._large else _SMALL
        if self._parts and scope["method"] == "PUT" and path.startswith(self._parts):
            most = min(PART, self._limits.most)
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and (len(length) > 19 or int(length) > most):
            await _refuse(scope, receive, send, TooLargeError(most))
            return
        received, has_begun = 0, False
        fault: PipelineError | None = None
        meter = _Meter(self._limits)

        async def counted() -> Message:
            nonlocal received, fault
            try:
                message = await meter.next(receive)
            except SlowBodyError as slow:
                fault = slow
                raise
            received += len(message.get("body", b""))
            if received > most:
                fault = TooLargeError(most)
                raise fault
            return message

        async def unless_refused(message: Message) -> None:
            nonlocal has_begun
            # The application's response to an incomplete body is dropped.
            if fault is None or has_begun:
                has_begun = True
                await send(message)

        with contextlib.suppress(TooLargeError, SlowBodyError):
            await self._app(scope, counted, unless_refused)
        if fault is not None and not has_begun:
            await _refuse(scope, receive, send, fault)


class _Meter:
    """Measures how fast one body arrives. Only the time that the server waits for it counts."""

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits
        self._part = max(1, int(limits.least * limits.seconds))
        self._waited, self._arrived = 0.0, 0
        self._is_whole = False

    async def next(self, receive: Receive) -> Message:
        """Return the next part of the body. Raises SlowBodyError if it does not arrive in time."""
        if self._is_whole:
            # What follows is the end of the connection, and that takes as long as the response.
            return await receive()
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(self._limits.seconds - self._waited):
                message = await receive()
        except TimeoutError:
            raise SlowBodyError(self._limits.least) from None
        self._is_whole = not message.get("more_body", False)
        self._waited += clock() - began
        self._arrived += len(message.get("body", b""))
        if self._arrived >= self._part:
            self._waited, self._arrived = 0.0, 0
        return message


async def _refuse(scope: Scope, receive: Receive, send: Send, fault: PipelineError) -> None:
    response = JSONResponse({"error": fault.shown_message, "advice": fault.shown_advice}, fault.http_status)
    # The client must not send the rest of the body.
    response.headers["Connection"] = "close"
    await response(scope, receive, send)
