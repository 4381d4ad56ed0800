"""Sends a notice as a signed POST request. Redirects are not followed; the response's body is not kept."""

import http.client
import json
import time
import urllib.error
import urllib.request

import returns_pipeline
from returns_pipeline.channels.addresses import Address
from returns_pipeline.channels.signature import signature
from returns_pipeline.connection_limit import ConnectionLimit
from returns_pipeline.records.notices import Answer, StoredNotice

#: Seconds that one request may take from its connection to the end of the response.
SECONDS = 10.0
_MOST_READ = 64 * 1024
_GONE = 410


def send(address: Address, notice: StoredNotice, seconds: float = SECONDS) -> Answer:
    """Send a notice; return what the receiver answered. Any status from 200 to 299 is a delivery."""
    body = payload(notice)
    timestamp = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"returns-pipeline/{returns_pipeline.__version__}",
        "webhook-id": notice.uid,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(address.keys, notice.uid, timestamp, body),
    }
    # Only schemes that the settings accept: http and https.
    request = urllib.request.Request(address.url, body, headers, method="POST")  # noqa: S310
    try:
        with ConnectionLimit(seconds) as limit, _opener(limit).open(request, timeout=seconds) as response:
            response.read(_MOST_READ)
            status, is_whole = int(response.status), not limit.is_over
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(False, _reason(error, seconds))
    if not is_whole:
        return Answer(False, f"no whole response within {seconds:g} seconds")
    text = f"HTTP {status} {http.client.responses.get(status, '')}".strip()
    return Answer(200 <= status < 300, text, is_final=status == _GONE)


def payload(notice: StoredNotice) -> bytes:
    """Return the body of a notice; a repeat has the same one."""
    content = {
        "type": notice.kind.value,
        "timestamp": notice.created_at.isoformat(timespec="milliseconds"),
        "text": notice.text,
        "data": notice.data,
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _opener(limit: ConnectionLimit) -> urllib.request.OpenerDirector:
    """Return an opener that uses the environment's proxies and returns each response as it is.

    Without urllib's further handlers it follows no redirect and opens no file.
    """

    class Plain(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            limit.watch(self.sock)

    class Secure(http.client.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            limit.watch(self.sock)

    class Http(urllib.request.HTTPHandler):
        def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Plain, request)

    class Https(urllib.request.HTTPSHandler):
        def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Secure, request)

    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler(), Http(), Https()):
        opener.add_handler(handler)
    return opener


def _reason(error: Exception, seconds: float) -> str:
    """Return why there is no response, without the address."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no response within {seconds:g} seconds"
    if isinstance(cause, (http.client.RemoteDisconnected, ConnectionResetError, http.client.IncompleteRead)):
        return f"the connection ended without a whole response within {seconds:g} seconds"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(cause).__name__
