"""Receivers of notices for tests: a real HTTP server that can fail, hang and come back, and a mail server."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from pydantic import SecretStr

from returns_pipeline.settings import Settings
from returns_pipeline.settings.notices import new_secret, webhook_keys

SECRET = new_secret(b"for the tests of notices" * 2)
(KEY,) = webhook_keys(SECRET)


@dataclass
class Request:
    """One request as it arrived."""

    headers: dict[str, str]
    body: bytes

    @property
    def uid(self) -> str:
        """The id by which a repeat is known."""
        return self.headers["webhook-id"]

    @property
    def content(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Receiver:
    """A running HTTP server: what arrived, and what it does with the next requests.

    `status` is what it answers. `before` is called with each request before the answer. While `hangs` is set,
    it answers nothing; `drips` sends one byte of a header at a time, for ever.
    """

    url: str
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    before: Callable[[Request], None] = lambda _: None
    hangs: threading.Event = field(default_factory=threading.Event)
    drips: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    requests: list[Request] = field(default_factory=list)

    def of(self, settings: Settings, **others: Any) -> Settings:
        """Return settings with this receiver as the only webhook."""
        changed = {"webhooks": SecretStr(f"{self.url}/hook/t0ken"), "webhook_secret": SecretStr(SECRET)}
        return settings.model_copy(update=changed | others)

    def types(self) -> list[str]:
        """Return the type of each request, in their order."""
        return [request.content["type"] for request in self.requests]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Run an HTTP server on a free port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            request = Request({name.lower(): value for name, value in self.headers.items()}, body)
            here.requests.append(request)
            here.before(request)
            if here.hangs.is_set():
                here.ended.wait(30)
                return
            if here.drips.is_set():
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not here.ended.wait(0.02):
                    self.wfile.write(b"x")
                return
            self.send_response(here.status)
            for name, value in here.headers.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - a name of the standard library

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Print nothing about clients that are gone."""

    server = Server(("127.0.0.1", 0), Handler)
    here = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield here
    finally:
        here.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def mail_server(port: int) -> Iterator[list[EmailMessage]]:
    """Run a real SMTP server on a port; yield the mails that arrive."""
    from aiosmtpd.controller import Controller

    mails: list[EmailMessage] = []

    class Handler:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
            mail = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(mail, EmailMessage)
            mails.append(mail)
            return "250 OK"

    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield mails
    finally:
        controller.stop()
