"""Bodies that are too large are refused while they come in, before they fill the memory or the disk."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from returns_pipeline.web.errors import TooLargeError


class BodyLimit:
    """ASGI middleware: a request may have `most` bytes."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        """Wrap an application."""
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes in. Raises TooLargeError where the application reads on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        declared = int(length) if length.isdigit() else 0
        came = 0

        async def counted() -> Message:
            nonlocal came
            # What is declared is refused when somebody reads, so that the answer is the application's.
            if declared > self._most:
                raise TooLargeError(self._most)
            message = await receive()
            came += len(message.get("body", b""))
            if came > self._most:
                raise TooLargeError(self._most)
            return message

        await self._app(scope, counted, send)
