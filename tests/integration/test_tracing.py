"""Traces, from real web and worker processes to a real receiver."""

import importlib.util
import os
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
import redis

from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.records.runs import RunState
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import runs
from tests.support import write_images
from tests.traces import Receiver, Span, receiver
from tests.web import Site, batch_of, closed_run, site

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("opentelemetry.sdk") is None and not os.environ.get("CI"),
    reason="the extra `trace` is not installed",
)
T = TypeVar("T")
#: What a worker does with a chunk, and the span that it belongs to.
OF_CHUNK = {
    "claim": "classify_chunk",
    "classify": "classify_chunk",
    "read": "classify",
    "decode": "classify",
    "predict": "classify",
    "store": "classify_chunk",
    "archive": "classify_chunk",
    "classify_chunk": "send classify_chunk",
}


@pytest.fixture(scope="module")
def traces() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


@pytest.fixture(scope="module")
def here(traces: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", traces.url)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        with site(tmp_path_factory.mktemp("traced"), resend_seconds=0.2, lease_seconds=2) as found:
            yield found


def parents(spans: list[Span]) -> dict[str, set[str]]:
    """Return the names of the spans that the spans of each name belong to."""
    names = {span.id: span.name for span in spans}
    found: dict[str, set[str]] = {}
    for span in spans:
        found.setdefault(span.name, set()).add(names.get(span.parent, span.parent))
    return found


def test_one_trace_shows_the_way_of_a_photo_from_its_request_to_its_prediction(
    here: Site, traces: Receiver
) -> None:
    """The client's trace goes on in the web, through the message, in the worker, and back."""
    images, right = batch_of(here, 1, 0)
    trace, client = secrets.token_hex(16), secrets.token_hex(8)
    headers = {"traceparent": f"00-{trace}-{client}-01"}
    reply = here.ask("POST", "/process_batch?detail=1", json={"images": images}, headers=headers)
    assert reply.json()["predictions"] == right

    spans = traces.of_trace(trace, "POST /process_batch", "answer", *OF_CHUNK)
    assert parents(spans) == {each: {parent} for each, parent in OF_CHUNK.items()} | {
        "POST /process_batch": {client},
        "rows": {"POST /process_batch"},
        "send classify_chunk": {"rows"},
        "answer": {"POST /process_batch"},
    }
    (chunk,) = (span for span in spans if span.name == "classify_chunk")
    assert (chunk.service, chunk.attributes["returns.images"]) == ("returns-worker", 1)
    assert {span.service for span in spans} == {"returns-web", "returns-worker"}
    assert not any(str(here.home.settings.home) in str(span) for span in spans)


def test_requests_that_are_stored_together_are_linked(here: Site, traces: Receiver) -> None:
    """Each request has a trace, and the trace of its chunk is the first one's, linked with the others."""
    texts, _ = batch_of(here, 40, 100)
    ids = [secrets.token_hex(16) for _ in texts]

    def sends(text: str, trace: str) -> int:
        headers = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}
        return here.ask("POST", "/process_batch", json={"images": [text]}, headers=headers).status_code

    with ThreadPoolExecutor(20) as clients:
        assert set(clients.map(sends, texts, ids)) == {200}
    requests, rows = [], []
    for trace in ids:
        spans = traces.of_trace(trace, "POST /process_batch", "answer")
        requests += [span for span in spans if span.name == "POST /process_batch"]
        rows += [span for span in spans if span.name == "rows"]
    stored = {span.parent for span in rows}.union(*(span.links for span in rows))
    assert len(rows) < len(requests) == 40
    assert stored == {span.id for span in requests}
    for span in requests:
        assert span.links & {each.id for each in rows} or span.id in {each.parent for each in rows}


def test_one_trace_shows_the_way_of_a_chunk_from_scan_to_report(here: Site, traces: Receiver) -> None:
    """Also of a scan that nothing has asked to trace: a scan begins a trace, a sweep does not."""
    run = closed_run(here, 30, 200)
    scan = scan_of(traces, run)
    spans = traces.of_trace(scan.trace, "scan_incoming", "close_run", "report", *OF_CHUNK)
    found = parents(spans)
    assert found.pop("send close_run") <= {"classify_chunk", "scan_incoming"}
    assert OF_CHUNK.items() <= {name: next(iter(each)) for name, each in found.items()}.items()
    assert found["scan_incoming"] == {""}
    assert found["scan"] == {"scan_incoming"}
    assert found["send classify_chunk"] == {"scan"}
    assert (found["close_run"], found["report"]) == ({"send close_run"}, {"close_run"})
    assert not {span.name for span in traces.spans} & {"sweep", "GET /metrics", "GET /"}


def scan_of(traces: Receiver, run: int) -> Span:
    """Return the span in which a run was scanned."""
    return until(
        lambda: next(
            (each for each in traces.spans if each.name == "scan" and each.attributes["returns.run"] == run),
            None,
        )
    )


def test_a_chunk_that_the_sweep_sends_again_stays_in_its_trace(here: Site, traces: Receiver) -> None:
    """The message is lost with its headers; the row of the chunk still knows the trace."""
    here.kill("worker-cpu")
    write_images(here.home.settings.incoming_dir, 5, 300)
    queue = open_queue(here.home.settings)
    queue.send(Task.SCAN, request_id="lost")
    run = until(lambda: runs.find_request(here.home.database, "lost"))
    until(lambda: runs.progress(here.home.database, run).state is RunState.RUNNING)
    broker = redis.Redis.from_url(here.home.settings.broker_url.replace("redis+socket", "unix"))
    assert broker.delete("bulk") == 1
    scan = scan_of(traces, run)
    here.kill("worker-control")
    here.processes.start_workers()
    queue.send(Task.SWEEP)
    spans = traces.of_trace(scan.trace, "report", *OF_CHUNK)
    sent = [span for span in spans if span.name == "send classify_chunk"]
    assert [span.parent for span in sent] == [scan.id] * 2
    (chunk,) = (span for span in spans if span.name == "classify_chunk")
    assert chunk.parent == sent[-1].id


def until(found: Callable[[], T | None]) -> T:
    """Return what a function returns once that is true."""
    deadline = time.monotonic() + 60
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value
