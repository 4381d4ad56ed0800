"""What clients may cost before and after the log-in: slow, long, many and invalid requests."""

import contextlib
import itertools
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.web import Site, batch_of, site

#: Seconds in which a head, or enough of a body, must arrive.
_SECONDS = 1.5
_CONNECTIONS = 40


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give an installation with low limits."""
    folder = tmp_path_factory.mktemp("site")
    with site(folder, web_receive_seconds=_SECONDS, web_connections=_CONNECTIONS) as running:
        yield running


def opened(here: Site) -> socket.socket:
    """Return a new connection to the web."""
    host, _, port = here.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def reply_to(here: Site, sent: bytes) -> bytes:
    """Send bytes, and return all that comes until the web closes the connection."""
    with opened(here) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(sent)
        return rest_of(connection)


def rest_of(connection: socket.socket) -> bytes:
    """Return what comes until the connection is closed. Raises TimeoutError if it stays open."""
    found = b""
    try:
        while part := connection.recv(65_536):
            found += part
    except ConnectionResetError:
        pass
    return found


def head_of(here: Site, path: str, length: int) -> bytes:
    """Return the head of a POST."""
    kind = "application/x-www-form-urlencoded" if path == "/login" else "application/json"
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {here.token}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


@contextmanager
def taking_no_memory(here: Site) -> Iterator[None]:
    """Assert that at no moment of a block the web takes more memory than before: less than a long head has.

    The kernel keeps the largest amount since a process began, or since a 5 was written to its clear_refs
    (man 5 proc_pid_clear_refs). A look at the end would not see what was given back.
    """
    folder = Path("/proc") / str(here.processes.process("web").pid)
    (folder / "clear_refs").write_text("5", "ascii")
    before = _largest(folder)
    yield
    assert _largest(folder) - before < 20 * 1024 * 1024


def _largest(process: Path) -> int:
    """Return the largest amount of memory that a process has had, in bytes."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", (process / "status").read_text("ascii"), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def _assert_usable(here: Site) -> None:
    texts, right = batch_of(here, 2, 0)
    reply = here.ask("POST", "/process_batch", json={"images": texts})
    assert (reply.status_code, reply.json()) == (200, {"predictions": right})


def test_slow_senders_delay_no_other_and_are_refused(here: Site) -> None:
    """While many bodies trickle, another request is served; each slow one gets 408 and is closed."""
    paths = ["/process_batch", "/predict", "/api/v1/scans", "/login"]
    with ExitStack() as stack:
        slow = [stack.enter_context(opened(here)) for _ in range(12)]
        began = time.monotonic()
        for connection, path in zip(slow, itertools.cycle(paths), strict=False):
            connection.sendall(head_of(here, path, 60_000) + b'{"images": [')
        _assert_usable(here)
        assert time.monotonic() - began < 20
        for connection in slow[4:]:
            with contextlib.suppress(OSError):
                connection.sendall(b" ")
        for number, (connection, path) in enumerate(zip(slow, itertools.cycle(paths), strict=False)):
            reply = rest_of(connection)
            if path == "/api/v1/scans":
                # This route reads no body.
                assert reply.startswith(b"HTTP/1.1 202")
            else:
                assert reply.startswith(b"HTTP/1.1 408"), (number, path, reply[:300])
                assert b"bytes a second" in reply
    _assert_usable(here)


def test_a_head_is_limited_in_bytes_and_headers(here: Site) -> None:
    """A head of any form that is too long is refused before it fills memory; a usual long one is served."""
    usual = (
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nCookie: "
        + b"c" * 16_000
        + b"\r\nConnection: close\r\n\r\n"
    )
    assert reply_to(here, usual).startswith(b"HTTP/1.1 200")
    start = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    long_heads = {
        "one header": start + b"X: " + b"x" * 30_000_000,
        "a name": start + b"x" * 30_000_000,
        "many headers": start + b"X: y\r\n" * 5_000_000,
        "few bytes, many headers": start + b"a: b\r\n" * 1000 + b"\r\n",
        "a whole head": start + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
        "an address": b"GET /" + b"a" * 30_000_000,
    }
    # Not for the log-in: it hashes the password, if there is one or not, and that takes memory.
    chunked = (
        b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    )
    with taking_no_memory(here):
        for name, head in long_heads.items():
            found = reply_to(here, head)
            assert found == b"" or found.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400")), (name, found[:200])
        assert not reply_to(here, chunked + b"X: " + b"x" * 30_000_000).startswith(b"HTTP/1.1 200")
    _assert_usable(here)


def test_requests_that_are_sent_without_a_wait_are_limited(here: Site) -> None:
    """Some requests on one connection are answered in order; thousands end the connection."""
    one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert reply_to(here, one * 5 + last).count(b"HTTP/1.1 200") == 6
    with taking_no_memory(here):
        assert reply_to(here, one * 100_000).count(b"HTTP/1.1 200") < 1000


def test_a_request_that_never_ends_is_closed(here: Site) -> None:
    """A connection on which no whole request arrives is closed, also if a byte comes now and then."""
    whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    sent = {
        "nothing": (b"", b""),
        "half a head": (whole[:-5], b"a"),
        "empty lines": (b"\r\n\r\n", b"\r\n"),
        "half of a second request": (whole + b"\r\n" + whole, b"a"),
        "half a body": (whole + b"Content-Length: 99\r\n\r\n", b"a"),
    }
    with ExitStack() as stack:
        left = {name: stack.enter_context(opened(here)) for name in sent}
        for name, connection in left.items():
            connection.sendall(sent[name][0])
            connection.setblocking(False)
        deadline = time.monotonic() + 6 * _SECONDS
        while left:
            assert time.monotonic() < deadline, f"still open: {list(left)}"
            time.sleep(0.2)
            for name, connection in list(left.items()):
                try:
                    if connection.recv(4096) == b"":
                        del left[name]
                except BlockingIOError:
                    with contextlib.suppress(OSError):
                        connection.sendall(sent[name][1])
                except ConnectionResetError:
                    del left[name]


def test_idle_connections_make_room_for_new_ones(here: Site) -> None:
    """However many connections wait, their number stays below the limit and requests are served."""
    web = psutil.Process(here.processes.process("web").pid)
    with ExitStack() as stack:
        idle = [stack.enter_context(opened(here)) for _ in range(4 * _CONNECTIONS)]
        idle[-1].sendall(b"GET / HTTP/1.1\r\n")
        began = time.monotonic()
        assert here.ask("GET", "/healthz", token="").status_code == 200
        assert here.ask("GET", "/api/v1/runs").status_code == 200
        assert time.monotonic() - began < 5
        accepted = [each for each in web.net_connections("tcp") if each.status == "ESTABLISHED"]
        # Some more for those to the broker.
        assert len(accepted) <= _CONNECTIONS + 10


def test_busy_connections_leave_room_for_health_checks(here: Site) -> None:
    """If every connection is in use, requests get 503 in time, and the state can still be read."""
    with ExitStack() as stack:
        busy = [stack.enter_context(opened(here)) for _ in range(_CONNECTIONS - 16)]
        for connection in busy:
            connection.sendall(head_of(here, "/process_batch", 60_000) + b"{")
        time.sleep(0.3)
        refused = here.ask("GET", "/api/v1/runs")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert here.ask("GET", "/healthz", token="").status_code == 200
        assert here.ask("GET", "/readyz", token="").status_code == 200
    deadline = time.monotonic() + 5
    while here.ask("GET", "/api/v1/runs").status_code == 503:
        assert time.monotonic() < deadline, "no place is given back"
    _assert_usable(here)


def test_a_host_is_one_name_or_address(here: Site) -> None:
    """A request without exactly one valid host is 400, never 500, and no redirect names a host."""
    odd = [
        b"ex ample",
        b"a/b",
        b"a@b",
        b"",
        b"[",
        b"[::1",
        b"a:b",
        b"a:99999",
        b"a\\b",
        b"a?b",
        b"a,b",
        b"\xff",
        b"a#",
    ]
    heads = [b"Host: " + host + b"\r\n" for host in odd] + [
        b"",
        b"Host: a\r\nHost: a\r\n",
        b"Host: a\r\nHost: b\r\n",
    ]
    for path, head in itertools.product((b"/runs/", b"/login", b"/healthz", b"/static/swagger-ui"), heads):
        reply = reply_to(here, b"GET " + path + b" HTTP/1.1\r\n" + head + b"Connection: close\r\n\r\n")
        assert reply.startswith(b"HTTP/1.1 400"), (path, head, reply[:300])
    for host in (
        b"localhost",
        b"127.0.0.1:8000",
        b"[::1]:80",
        b"returns_web",
        b"shop.example.",
        b"evil.example",
    ):
        sent = b"GET %s HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
        assert reply_to(here, sent % b"/healthz").startswith(b"HTTP/1.1 200"), host
        moved = reply_to(here, sent % b"/runs/")
        place = re.search(rb"location: (.*)\r\n", moved)
        assert place is not None
        assert place[1].startswith(b"/")
        assert host not in place[1]
    assert reply_to(here, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")
