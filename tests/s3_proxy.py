"""A proxy before an S3 server that counts requests, delays them and breaks some, as a busy store does."""

import contextlib
import http.client
import random
import re
import threading
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, NamedTuple
from urllib.parse import unquote, urlsplit

_XML = "http://s3.amazonaws.com/doc/2006-03-01/"
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length"}
_KEY_OF_CALLER = re.compile(r"Credential=([^/]+)/")
_MODIFIED = re.compile(rb"(<LastModified>)([^<]+)(</LastModified>)")
_KINDS_OF_WRITES = {"PUT", "COPY", "POST"}
#: Seconds that a slow store takes for a response, and for a body.
SLOW_SECONDS = 2.0
_PIECES = 8


@dataclass
class Faults:
    """What a proxy does. Each may be changed while it runs. Faults are drawn from a seed.

    `delay` is in seconds for each request, `trickle` in seconds in the middle of each body. `throttled`,
    `cut` and `lost` are shares of requests that are refused, of bodies that end in the middle, and of
    requests that are carried out without a response. `slow` is the share of requests whose first byte takes
    SLOW_SECONDS, `dripping` that of bodies that come in eight pieces and take as long. Objects whose keys
    contain `kept` cannot be deleted, and none with `full` can be written. The access keys of `expired` are
    refused. The store's clock is `ahead` of the true time. A store that `repeats_listings` gives the listing
    that it gave for the same request before, so that it shows what is gone and lacks what is new; it does
    not show keys that contain `unlisted`. One that `ignores_conditions` writes over what it should keep.
    """

    delay: float = 0.0
    trickle: float = 0.0
    throttled: float = 0.0
    cut: float = 0.0
    lost: float = 0.0
    slow: float = 0.0
    dripping: float = 0.0
    ignores_conditions: bool = False
    kept: str | None = None
    full: str | None = None
    expired: set[str] = field(default_factory=set)
    ahead: timedelta = timedelta()
    repeats_listings: bool = False
    unlisted: str | None = None
    #: Requests by method and kind, as a store counts them, and what was refused or broken, by fault.
    counts: Counter[str] = field(default_factory=Counter)
    inflicted: Counter[str] = field(default_factory=Counter)
    chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311
    listings: dict[str, "_Response"] = field(default_factory=dict)

    def draw(self, name: str, share: float) -> bool:
        """Whether a fault is inflicted now; counts it."""
        drawn = self.chance.random() < share
        self.inflicted[name] += drawn
        return drawn


class _Response(NamedTuple):
    status: int
    content: bytes
    headers: Mapping[str, str]


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

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind, plan = self._kind(), self.plan
        plan.counts[kind] += 1
        time.sleep(plan.delay + SLOW_SECONDS * plan.draw("slow", plan.slow))
        response = self._refusal(kind)
        if response is None and kind == "DELETES" and plan.kept is not None:
            response = self._deleted_in_part(body, plan.kept)
        elif response is None and kind == "LIST":
            response = self._listing()
        elif response is None:
            response = self._forward(body)
        if plan.ahead:
            response = _with_clock(response, plan.ahead)
        if plan.draw("lost", plan.lost):
            self.close_connection = True
            return
        is_cut = len(response.content) > 1 and self.command == "GET" and plan.draw("cut", plan.cut)
        self._answer(response, is_cut=is_cut)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815 - names of http.server

    def _kind(self) -> str:
        if self.command == "GET" and "list-type" in self.path:
            return "LIST"
        if self.command == "POST" and "delete" in urlsplit(self.path).query:
            return "DELETES"
        return "COPY" if "x-amz-copy-source" in self.headers else self.command

    def _refusal(self, kind: str) -> _Response | None:
        """Return the response to a request that the store refuses."""
        plan, path = self.plan, unquote(urlsplit(self.path).path)
        caller = _KEY_OF_CALLER.search(self.headers.get("Authorization", ""))
        if caller and caller[1] in plan.expired:
            plan.inflicted["expired"] += 1
            return _error(400, "ExpiredToken")
        if plan.kept is not None and kind == "DELETE" and plan.kept in path:
            plan.inflicted["kept"] += 1
            return _error(403, "AccessDenied")
        if plan.full is not None and kind in _KINDS_OF_WRITES and plan.full in path:
            plan.inflicted["full"] += 1
            return _error(403, "QuotaExceeded")
        return _error(503, "SlowDown") if plan.draw("throttled", plan.throttled) else None

    def _forward(self, body: bytes, left_out: str = "connection") -> _Response:
        connection = http.client.HTTPConnection(self.target, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in left_out}
        if self.plan.ignores_conditions:
            headers = {name: value for name, value in headers.items() if name.lower() != "if-none-match"}
        connection.request(self.command, self.path, body, headers)
        response = connection.getresponse()
        content = response.read()
        kept = {name: value for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP}
        if self.command == "HEAD":
            kept["Content-Length"] = response.getheader("Content-Length") or "0"
        connection.close()
        return _Response(response.status, content, kept)

    def _listing(self) -> _Response:
        plan = self.plan
        if plan.repeats_listings and self.path in plan.listings:
            plan.inflicted["stale"] += 1
            return plan.listings[self.path]
        found = self._forward(b"")
        if plan.unlisted is not None:
            shown = re.split(rb"(?=<Contents>)|(?<=</Contents>)", found.content)
            kept = [each for each in shown if plan.unlisted.encode() not in each.partition(b"</Key>")[0]]
            plan.inflicted["unlisted"] += len(shown) - len(kept)
            found = found._replace(content=b"".join(kept))
        plan.listings[self.path] = found
        return found

    def _deleted_in_part(self, body: bytes, kept: str) -> _Response:
        """Delete the objects that may be deleted; name the others in the response, as S3 does."""
        tree = ET.fromstring(body)  # noqa: S314 - of the program under test
        denied = b""
        for each in list(tree):
            key = "".join(each.itertext())
            if kept in key:
                tree.remove(each)
                self.plan.inflicted["kept"] += 1
                denied += (
                    b"<Error><Key>%s</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
                    % key.encode()
                )
        found = _Response(200, f'<DeleteResult xmlns="{_XML}"></DeleteResult>'.encode(), {})
        if len(tree):
            ET.register_namespace("", _XML)
            found = self._forward(ET.tostring(tree), "connection content-length content-md5")
        return found._replace(content=found.content.replace(b"</DeleteResult>", denied + b"</DeleteResult>"))

    def _answer(self, response: _Response, *, is_cut: bool) -> None:
        content = response.content
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        elif not response.headers:
            self.send_header("Content-Length", "0")
        self.end_headers()
        if self.command != "HEAD":
            is_dripping = len(content) >= _PIECES and self.plan.draw("dripping", self.plan.dripping)
            pieces = _PIECES if is_dripping else 2
            pause = SLOW_SECONDS / pieces if is_dripping else self.plan.trickle
            length = len(content) // pieces
            for at in range(pieces - 1):
                self.wfile.write(content[at * length : (at + 1) * length])
                self.wfile.flush()
                time.sleep(pause)
            self.wfile.write(b"" if is_cut else content[(pieces - 1) * length :])
        if is_cut:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def _error(status: int, code: str) -> _Response:
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    )
    return _Response(status, content.encode(), {})


def _with_clock(response: _Response, ahead: timedelta) -> _Response:
    """Return a response whose moments are those of a clock that is ahead."""

    def moved(found: re.Match[bytes]) -> bytes:
        moment = datetime.fromisoformat(found[2].decode()) + ahead
        return found[1] + moment.strftime("%Y-%m-%dT%H:%M:%S.000Z").encode() + found[3]

    headers = {
        name: format_datetime(parsedate_to_datetime(value) + ahead, usegmt=True)
        if name.lower() in {"last-modified", "date"}
        else value
        for name, value in response.headers.items()
    }
    return _Response(response.status, _MODIFIED.sub(moved, response.content), headers)
