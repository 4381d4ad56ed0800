"""What traces cost a chunk: processor time of one process, without an address and with one.

`python -m benchmarks.tracing [CHUNKS] [IMAGES]`, with the extra `trace`. Equal chunks are classified, stored
and archived in turns with traces and without, so that both have the same neighbours on the machine. The
receiver is another process. Then the calls that each chunk makes without an address are timed alone.
"""

import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import structlog

from returns_pipeline import tracing
from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.classify.runtimes.registry import load_classifier
from returns_pipeline.records.runs import RunKind
from returns_pipeline.settings import PROJECT_ROOT, Settings, settings_of_home
from returns_pipeline.store import runs
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import chunks
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.runs import run_request

_RECEIVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
_CALLS = 100_000


def main(count: int, images: int) -> None:
    """Print the milliseconds of a chunk with and without traces, and the microseconds of the calls alone."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with (
        tempfile.TemporaryDirectory(prefix="returns-tracing-") as work,
        subprocess.Popen([sys.executable, "-c", _RECEIVER], stdout=subprocess.PIPE, text=True) as receiver,
    ):
        assert receiver.stdout is not None  # noqa: S101 - it is a pipe
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{receiver.stdout.readline().strip()}"
        try:
            plain, traced = _measured(Path(work), count, images)
        finally:
            tracing.stop()
            receiver.kill()
    calls = _microseconds_of_the_calls()
    print(f"{count} chunks of {images} photos, in turns; milliseconds of the processor for one:")
    print(f"without an address {plain:.2f}, with one {traced:.2f}: {traced / plain - 1:+.1%}")
    print(f"the calls of a chunk without an address: {calls:.1f} µs, {calls / 1000 / plain:.3%} of it")


def _measured(work: Path, count: int, images: int) -> tuple[float, float]:
    settings = settings_of_home(work / "home", model="fashion-mnist/1")
    context = _open(settings)
    tracing.start("benchmark")
    tracer = tracing._State.tracer  # noqa: SLF001 - turned off and on
    taken: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(2 * count + 2):
        is_traced = turn % 2 == 1
        tracing._State.tracer = tracer if is_traced else None  # noqa: SLF001
        seconds = _seconds_of(context, _chunk(context, images, turn))
        if turn >= 2:  # the first chunk of each kind loads the model or the exporter
            taken[is_traced].append(seconds)
    tracing._State.tracer = tracer  # noqa: SLF001
    context.close()
    return statistics.median(taken[False]) * 1000, statistics.median(taken[True]) * 1000


def _open(settings: Settings) -> Context:
    settings.incoming_dir.mkdir(parents=True)
    database = Database(settings.database_url)
    database.upgrade()
    load = partial(load_classifier, runtime="openvino", threads=1, mixed=False)
    return Context(settings, database, InProcessQueue(), load)


def _chunk(context: Context, images: int, turn: int) -> int:
    """Add a chunk of new photos to a run of its own; return the chunk's id."""
    samples = sorted((PROJECT_ROOT / "samples").glob("*.png"))
    paths = [context.settings.incoming_dir / f"{turn}-{number}.png" for number in range(images)]
    for number, path in enumerate(paths):
        shutil.copy(samples[number % len(samples)], path)
    run_id = runs.open_run(context.db, run_request(context, f"turn {turn}", RunKind.SCAN, None))
    files = [context.photos.describe(str(path)) for path in paths]
    (chunk_id,) = runs.add_chunks(context.db, run_id, [files], context.photos.unchanged)
    return chunk_id


def _seconds_of(context: Context, chunk_id: int) -> float:
    """Process a chunk as a worker does; return its seconds of the processor."""
    began = time.process_time()
    begun = tracing.begin("classify_chunk", None, is_new=True)
    chunks.classify_chunk(context, chunk_id, f"message {chunk_id}")
    if begun:
        tracing.end(begun)
    return time.process_time() - began


def _microseconds_of_the_calls() -> float:
    """Return what one chunk spends in this module if no address is set."""
    tracing._State.tracer = None  # noqa: SLF001
    taken = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(_CALLS):
            for name in ("claim", "classify", "store", "archive"):
                with tracing.span(name):
                    pass
            with tracing.span("send", sends=True, queue="bulk"):
                tracing.headers()
            tracing.note(run=1, chunk=1, attempt=1, images=1)
            tracing.stages(tracing.now_ns(), {}, ())
            tracing.traceparent()
        taken.append((time.process_time() - began) / _CALLS * 1e6)
    return min(taken)


if __name__ == "__main__":
    main(*(map(int, sys.argv[1:]) if sys.argv[1:] else (200, 256)))
