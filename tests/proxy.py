"""A reverse proxy that serves the web under a path, and removes the path from requests."""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

_PIECE = 64 * 1024
#: Headers of one connection, which are not forwarded.
_HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding"}


class Proxy(BaseHTTPRequestHandler):
    """Forwards requests below `root`. Test headers set the forwarded client address and scheme."""

    root: ClassVar[str]
    port: ClassVar[int]

    def do_GET(self) -> None:
        """Forward a request and stream its response."""
        if not self.path.startswith(f"{self.root}/"):
            self.send_error(404, "not under the root")
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_HEADERS}
        headers["X-Forwarded-For"] = headers.pop("X-Test-Client", "203.0.113.7")
        headers["X-Forwarded-Proto"] = headers.pop("X-Test-Scheme", "http")
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as web:
            web.request(self.command, self.path.removeprefix(self.root), body, headers)
            response = web.getresponse()
            self.send_response_only(response.status, response.reason)
            for name, value in response.getheaders():
                if name.lower() not in _HOP_HEADERS:
                    self.send_header(name, value)
            self.end_headers()
            # The client may close the connection, for example of an event stream.
            with contextlib.suppress(ConnectionError):
                while piece := response.read1(_PIECE):
                    self.wfile.write(piece)

    do_POST = do_DELETE = do_GET  # noqa: N815 - names of http.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parameter's name
        """Print nothing."""


@contextlib.contextmanager
def proxy(root: str, port: int) -> Iterator[str]:
    """Serve the web on `port` under `root`; yield the address of that path."""
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
