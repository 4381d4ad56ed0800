"""A receiver of traces: an HTTP server that reads OpenTelemetry's protocol, as a collector does."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Span(NamedTuple):
    """A span as it was received; ids are hexadecimal, `parent` is empty for the first span of a trace."""

    name: str
    trace: str
    id: str
    parent: str
    service: str
    attributes: dict[str, Any]
    links: set[str]
    seconds: float
    is_error: bool


class Receiver:
    """Keeps the spans that were sent to `url`."""

    def __init__(self, url: str) -> None:
        """Start without spans."""
        self.url = url
        self.spans: list[Span] = []

    def of_trace(self, trace: str, *names: str, seconds: float = 30) -> list[Span]:
        """Return the spans of a trace when all of these `names` are among them."""
        deadline = time.monotonic() + seconds
        while True:
            found = [span for span in self.spans if span.trace == trace]
            missing = set(names) - {span.name for span in found}
            if not missing:
                return found
            assert time.monotonic() < deadline, (missing, sorted({span.name for span in self.spans}))
            time.sleep(0.05)


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Run a receiver on a free port."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            found.spans.extend(_spans(ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _spans(request: Any) -> Iterator[Span]:
    for resource in request.resource_spans:
        service = _values(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    service,
                    _values(span.attributes),
                    {link.span_id.hex() for link in span.links},
                    (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                    span.status.code == 2,
                )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
