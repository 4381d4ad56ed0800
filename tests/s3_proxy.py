"""A proxy before an S3 server that counts requests, delays them and breaks some, as a busy store does."""

import contextlib
import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)
_DENIED = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code></Error>'
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length"}


@dataclass
class Faults:
    """What a proxy does: `delay` in seconds for each request, shares of throttled requests and cut bodies.

    Objects whose keys contain `kept` cannot be deleted. Faults are drawn from a seed.
    """

    delay: float = 0.0
    throttled: float = 0.0
    cut: float = 0.0
    kept: str | None = None
    #: Requests by method and kind, as a store counts them.
    counts: Counter[str] = field(default_factory=Counter)
    chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311


@contextlib.contextmanager
def proxy(address: str, faults: Faults) -> Iterator[str]:
    """Give the address of a proxy before the server at `address`."""

    class Handler(_Handler):
        target = urlsplit(address).netloc
        plan = faults

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target: ClassVar[str]
    plan: ClassVar[Faults]

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        plan = self.plan
        plan.counts[self._kind()] += 1
        time.sleep(plan.delay)
        deleted = self.path.encode() + body if self._kind() in {"DELETE", "DELETES"} else b""
        if plan.kept is not None and plan.kept.encode() in deleted:
            self._answer(403, _DENIED, {})
        elif plan.chance.random() < plan.throttled:
            self._answer(503, _SLOW_DOWN, {})
        else:
            connection = http.client.HTTPConnection(self.target, timeout=30)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            content = response.read()
            kept = {name: value for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP}
            if self.command == "HEAD":
                kept["Content-Length"] = response.getheader("Content-Length") or "0"
            is_cut = len(content) > 1 and self.command == "GET" and plan.chance.random() < plan.cut
            self._answer(response.status, content, kept, is_cut=is_cut)
            connection.close()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _forward  # noqa: N815 - names of http.server

    def _kind(self) -> str:
        if self.command == "GET" and "list-type" in self.path:
            return "LIST"
        if self.command == "POST" and "delete" in urlsplit(self.path).query:
            return "DELETES"
        return "COPY" if "x-amz-copy-source" in self.headers else self.command

    def _answer(self, status: int, content: bytes, headers: dict[str, str], *, is_cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        elif not headers:
            self.send_header("Content-Length", "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if is_cut else content)
        if is_cut:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing."""
