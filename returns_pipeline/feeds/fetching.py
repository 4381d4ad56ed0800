"""Fetches one photo over HTTP into a file.

What is checked is the IP address of each connection, so redirects and names that change their address are
covered. Neither proxies nor cookies are used.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Callable
from typing import BinaryIO, NamedTuple
from urllib.parse import urljoin

import returns_pipeline
from returns_pipeline.connection_limit import ConnectionLimit
from returns_pipeline.errors import RefusedError, TransientFault
from returns_pipeline.feeds.addresses import Parts, checked, parts_of
from returns_pipeline.feeds.retry_after import seconds_of
from returns_pipeline.public_hosts import AllowedHosts

_MOST_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
#: The server may answer otherwise later.
_LATER = {408, 425, 429, 500, 502, 503, 504}
#: Of these, the whole host wants fewer requests.
_TOO_MANY = {429, 503}
_BLOCK = 1 << 16
_LEAST_SECONDS = 0.05


class Terms(NamedTuple):
    """How photos are fetched: which private hosts are allowed, most bytes, most seconds, whom to ask.

    The seconds are those of all requests for one photo, its redirects included.
    """

    allowed: AllowedHosts
    most_bytes: int
    seconds: float
    contact: str = ""


class FetchError(Exception):
    """Why there is no photo. `is_final`: trying again is of no use.

    `of_host`: other addresses of the host would fail too. `retry_after` are the seconds that it asks for.
    """

    def __init__(
        self, reason: str, *, is_final: bool = False, of_host: bool = False, retry_after: float = 0.0
    ) -> None:
        """State the reason in a sentence."""
        super().__init__(reason)
        self.reason, self.is_final = reason, is_final
        self.of_host, self.retry_after = of_host, retry_after


def fetch(address: str, file: BinaryIO, terms: Terms, before: Callable[[str], None]) -> None:
    """Write what is at an address into `file`, from its beginning. Raises FetchError.

    `before` is called with the host, `name:port`, before each request: of the address and of each redirect.
    Raises TransientFault if the file takes no more.
    """
    left = terms.seconds
    for _ in range(_MOST_REDIRECTS + 1):
        parts = parts_of(address)
        before(parts.host)
        began = time.monotonic()
        target = _ask(parts, file, terms._replace(seconds=max(_LEAST_SECONDS, left)))
        left -= time.monotonic() - began
        if target is None:
            return
        try:
            address = checked(urljoin(address, target))
        except (RefusedError, ValueError) as error:
            raise FetchError("It leads to an address that is not valid.", is_final=True) from error
    raise FetchError("It leads from address to address without end.", is_final=True)


def _ask(parts: Parts, file: BinaryIO, terms: Terms) -> str | None:
    """Send one request; return where it leads, None if the photo is in the file."""
    headers = {"User-Agent": _agent(terms.contact), "Accept": "image/*, */*;q=0.5", "Connection": "close"}
    response = None
    with ConnectionLimit(terms.seconds) as limit:
        connection = _Connection(parts, terms, limit)
        try:
            connection.request("GET", parts.target, headers=headers)
            response = connection.getresponse()
            if response.status in _REDIRECTS and (target := response.getheader("Location")):
                return target
            if response.status != http.client.OK:
                raise _refusal(response)
            _receive(response, file, terms.most_bytes)
        except (http.client.HTTPException, OSError, ValueError) as error:
            # Without any response, other addresses of the host would fail too.
            reason = _reason(error, terms.seconds, limit.is_over)
            raise FetchError(reason, of_host=response is None) from error
        finally:
            connection.close()
        # A connection that was cut looks like the end of a body without a length.
        if limit.is_over:
            raise FetchError(_reason(TimeoutError(), terms.seconds))
    if response.length:
        raise FetchError("The connection ended before the whole file was received.")
    return None


def _receive(response: http.client.HTTPResponse, file: BinaryIO, most: int) -> None:
    received = 0
    too_large = FetchError(f"The file has more than {most:,} bytes.", is_final=True)
    if (response.length or 0) > most:
        raise too_large
    _write(file, None)
    while block := response.read(_BLOCK):
        received += len(block)
        if received > most:
            raise too_large
        _write(file, block)


def _write(file: BinaryIO, block: bytes | None) -> None:
    """Append to the file; None empties it."""
    try:
        if block is None:
            file.seek(0)
            file.truncate()
        else:
            file.write(block)
    except OSError as error:
        raise TransientFault(
            "The photo cannot be written: {reason}.", reason=error.strerror or error
        ) from error


def _refusal(response: http.client.HTTPResponse) -> FetchError:
    status = response.status
    reason = f"HTTP {status} {http.client.responses.get(status, '')}".strip()
    return FetchError(
        reason,
        is_final=status not in _LATER,
        of_host=status in _TOO_MANY,
        retry_after=seconds_of(response.getheader("Retry-After") or "") if status in _LATER else 0.0,
    )


class _Connection(http.client.HTTPConnection):
    """A connection to a public address of a host, or to an allowed host."""

    def __init__(self, parts: Parts, terms: Terms, limit: ConnectionLimit) -> None:
        super().__init__(parts.name, parts.port, timeout=terms.seconds)
        self._parts, self._terms, self._limit = parts, terms, limit
        # The header `Host` has no port if it is the scheme's own.
        self.default_port = {"http": 80, "https": 443}[parts.scheme]

    def connect(self) -> None:
        opened = self._opened()
        self._limit.watch(opened)
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            opened = context.wrap_socket(
                opened, server_hostname=self._parts.name, do_handshake_on_connect=False
            )
            self._limit.watch(opened)
            self.sock = opened
            opened.do_handshake()
        self.sock = opened

    def _opened(self) -> socket.socket:
        name, port = self._parts.name, self._parts.port
        try:
            found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise FetchError("The host's name is not known.", of_host=True) from error
        allowed = [each for each in found if self._terms.allowed.permits(name, port, str(each[4][0]))]
        if not allowed:
            raise FetchError(
                "The host has a private address. RETURNS_FEED_HOSTS may allow it by name.", is_final=True
            )
        failed: OSError = ConnectionError()
        for family, kind, protocol, _, place in allowed:
            opened = socket.socket(family, kind, protocol)
            opened.settimeout(self._terms.seconds / len(allowed))
            try:
                opened.connect(place)
            except OSError as error:
                opened.close()
                failed = error
            else:
                opened.settimeout(self._terms.seconds)
                return opened
        raise FetchError(_reason(failed, self._terms.seconds), of_host=True) from failed


def _agent(contact: str) -> str:
    agent = f"returns-pipeline/{returns_pipeline.__version__}"
    return f"{agent} (+{contact})" if contact.isascii() and contact.isprintable() and contact else agent


def _reason(error: Exception, seconds: float, is_over: bool = False) -> str:
    """Return why there is no response, without the address."""
    if is_over or isinstance(error, TimeoutError):
        return f"No whole response came within {seconds:.3g} seconds."
    if isinstance(error, ssl.SSLCertVerificationError):
        return "The host's certificate is not valid."
    if isinstance(error, OSError) and error.strerror:
        return f"The connection failed: {error.strerror}."
    return "The connection ended without a valid response."
