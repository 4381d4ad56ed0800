"""A reverse proxy as sites have one in front: it shows the web under a path, which it takes away."""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

_PIECE = 64 * 1024
#: What belongs to one connection and is not passed on.
_HOP = {"connection", "keep-alive", "transfer-encoding"}


class Proxy(BaseHTTPRequestHandler):
    """Passes on what is asked under `root`; whoever asks names the client and the scheme to be forwarded."""

    root: ClassVar[str]
    port: ClassVar[int]

    def do_GET(self) -> None:
        """Pass on a request and stream its answer."""
        if not self.path.startswith(f"{self.root}/"):
            self.send_error(404, "not under the root")
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        headers["X-Forwarded-For"] = headers.pop("X-Test-Client", "203.0.113.7")
        headers["X-Forwarded-Proto"] = headers.pop("X-Test-Scheme", "http")
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as web:
            web.request(self.command, self.path.removeprefix(self.root), body, headers)
            answer = web.getresponse()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            self.end_headers()
            # The client may have seen enough, as of events.
            with contextlib.suppress(ConnectionError):
                while piece := answer.read1(_PIECE):
                    self.wfile.write(piece)

    do_POST = do_DELETE = do_GET  # noqa: N815 - names of http.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parameter's name
        """Say nothing."""


@contextlib.contextmanager
def proxy(root: str, port: int) -> Iterator[str]:
    """Show the web of a port under `root`; give the address of that path."""
    handler = type("Handler", (Proxy,), {"root": root, "port": port})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{root}"
        finally:
            server.shutdown()
            thread.join()
