"""Limits of connections and of the heads of requests: what a client may cost before it has logged in.

uvicorn limits neither the head of a request nor the time in which it arrives. Its `limit_concurrency` would
refuse health checks too.
"""

import asyncio
import contextlib
import resource
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from returns_pipeline.settings import Settings
from returns_pipeline.web.errors import RETRY_AFTER

#: Bytes of a head: request line and headers. Longer than what browsers and proxies send; nginx takes 32 KiB.
_MOST_HEAD = 64 * 1024
_MOST_HEADERS = 200
#: Requests that a client may send before it has the response to the first one.
_MOST_PIPELINED = 16
#: Connections that are kept for requests about the state of this process.
_KEPT = 16
_STATE_PATHS = frozenset({b"/healthz", b"/readyz", b"/metrics"})
#: Seconds in which a client must read some of its response.
_READ_SECONDS = 60.0
#: Files that a web process has open besides its connections.
_OTHER_FILES = 256
_END = b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: " + RETRY_AFTER.encode() + _END
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large" + _END
#: Bytes of framing for one byte of a body in chunks of one byte, rounded up.
_FRAMING = 8


class Bounds(NamedTuple):
    """At most `connections`; a head, or the rest of a body that is not read, arrives within `seconds`."""

    connections: int
    seconds: float


class BoundedProtocol(HttpToolsProtocol):
    """One connection of uvicorn, with limits. Subclasses have `bounds`."""

    bounds: ClassVar[Bounds]

    _is_refused = False
    _in_body = False
    _in_head = True
    #: When this connection began to wait, for a request or for its response.
    since = 0.0
    _head_bytes = 0
    _framing_bytes = 0
    _body_bytes = 0
    _timer: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; if there are too many, close the one that waits longest for a request."""
        super().connection_made(transport)
        self.since = self.loop.time()
        if len(self.connections) > self.bounds.connections and not self._make_room():
            transport.write(_BUSY)
            self.end()
            return
        self._wait_for_head()

    def _make_room(self) -> bool:
        idle = [one for one in self.connections if isinstance(one, BoundedProtocol) and one.is_idle]
        longest = min((one for one in idle if one is not self), key=lambda one: one.since, default=None)
        if longest is None:
            return False
        longest.end()
        # Its loss is reported later; until then it must not be chosen again.
        self.connections.discard(longest)
        return True

    @property
    def is_idle(self) -> bool:
        """Whether no request of this connection is being processed."""
        return self.cycle is None or self.cycle.response_complete

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived. Close the connection if a head is too long or too many requests are sent."""
        if self._is_refused:
            return
        if not self._in_body:
            self._wait_for_head()
            self._head_bytes += len(data)
        self._body_bytes = 0
        super().data_received(data)
        if self._in_body:
            # Headers may also follow a body, and the parser keeps one until it is whole.
            self._framing_bytes += len(data) - (1 + _FRAMING) * self._body_bytes
            self._framing_bytes = max(0, self._framing_bytes)
        if max(self._head_bytes, self._framing_bytes) > _MOST_HEAD and not self._is_refused:
            self._refuse_head()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._in_head = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Keep the address unless it is too long."""
        if len(self.url) + len(url) <= _MOST_HEAD:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. Nothing reads the ones that follow a body."""
        if self._in_head and len(self.headers) <= _MOST_HEADERS:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin the response, or refuse the request."""
        self._in_head, self._in_body = False, True
        self._head_bytes = self._framing_bytes = 0
        self._stop_timer()
        self.since = self.loop.time()
        used = sum(len(name) + len(value) + 4 for name, value in self.headers) + len(self.url)
        app = self.app
        if used > _MOST_HEAD or len(self.headers) > _MOST_HEADERS:
            self.app = _refusal(431, "The head of the request is too long.")
        elif len(self.pipeline) >= _MOST_PIPELINED:
            raise ConnectionError("Too many requests without a wait for their responses.")
        elif len(self.tasks) >= self.bounds.connections - _KEPT and self.url not in _STATE_PATHS:
            self.app = _refusal(503, "Too many requests are being processed.")
        try:
            super().on_headers_complete()
        finally:
            self.app = app

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is not HTTP, but never in place of the response to an earlier one."""
        if self.is_idle:
            super().send_400_response(msg)
        self.end()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._in_body, self._framing_bytes = False, 0
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, but not for long for the rest of a body that nothing reads."""
        self.since = self.loop.time()
        super().on_response_complete()
        if self._in_body and self.is_idle and not self.transport.is_closing():
            # After some time, so that the client reads its response first.
            self._start_timer(self.bounds.seconds, self.end)

    def pause_writing(self) -> None:
        """Wait for the client to read; end the connection if it does not."""
        super().pause_writing()
        if self._writing is None:
            self._writing = self.loop.call_later(_READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Continue with the response."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        super().resume_writing()

    # Timers.

    def _wait_for_head(self) -> None:
        if self._timer is None:
            self._start_timer(self.bounds.seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self._timer = None
        if self.is_idle:
            self.end()
        else:
            # The client sent a part of its next request while it waits for the response.
            self._wait_for_head()

    def _start_timer(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse_head(self) -> None:
        if self.is_idle:
            self.transport.write(_TOO_LONG)
        self.end()

    def end(self) -> None:
        """Close the connection and read nothing more from it."""
        self._is_refused = True
        self._stop_timer()
        if not self.transport.is_closing():
            self.transport.close()


def _refusal(status: int, sentence: str) -> ASGIApp:
    headers = {"Connection": "close"} | ({"Retry-After": RETRY_AFTER} if status == 503 else {})
    return JSONResponse({"error": sentence, "advice": ""}, status, headers)


def bounded_protocol(settings: Settings) -> type[BoundedProtocol]:
    """Return the protocol class for uvicorn with the limits of the settings."""

    class Bounded(BoundedProtocol):
        bounds = Bounds(settings.web_connections, settings.web_receive_seconds)

    return Bounded


def allow_connections(settings: Settings) -> None:
    """Let this process open as many files as it needs for its connections, if the machine permits that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.web_connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
