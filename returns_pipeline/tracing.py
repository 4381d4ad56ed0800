"""Traces by OpenTelemetry: a photo's way from its request to its prediction, a chunk's from scan to report.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set, or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT. Then `start` imports the
SDK and sends spans to that address, by HTTP. The other standard variables of OpenTelemetry hold too: the
sampler, headers, the name of the service. Without them, each function here costs a comparison.

A trace begins with a request that FastAPI traces, or with `begin`. Everything else adds to the trace of its
caller, and does nothing outside of one that is sampled. Spans carry ids and counts, never names or values.
"""

import contextvars
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple, ParamSpec, TypeVar

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

P = ParamSpec("P")
T = TypeVar("T")

#: A span of the SDK, for which there is no type while the SDK is not installed.
Span = Any

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_NOTHING = nullcontext()


class _State:
    """The tracer of this process. A fork has to start its own, because its thread that sends is gone."""

    tracer: Any = None
    pid = 0


class Begun(NamedTuple):
    """A span that `begin` began, until `end`."""

    span: Span
    token: Any


def is_wanted() -> bool:
    """Whether the environment names an address for traces."""
    is_off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    exporter = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    return not is_off and exporter == "otlp" and any(map(os.environ.get, _ENDPOINTS))


def start(part: str) -> None:
    """Send the traces of this process from now on, if they are wanted; `part` says what it is, like `web`.

    Without the SDK it logs a warning: an environment may set the variables for all of its programs.
    """
    if _State.pid == os.getpid() or not is_wanted():
        return
    _State.pid = os.getpid()
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning("traces_off", reason=f"{error}: pip install 'returns-pipeline[trace]'")
        return
    resource = Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME") or f"returns-{part}"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    _State.tracer = provider.get_tracer("returns_pipeline")


def stop(patience: float = 5.0) -> None:
    """Send what is left, for `patience` seconds at most: a collector that hangs must not keep a process."""
    if _State.tracer is None or _State.pid != os.getpid():
        return
    from opentelemetry import trace

    _State.tracer = None
    provider: Any = trace.get_tracer_provider()
    sender = threading.Thread(target=provider.shutdown, daemon=True)
    sender.start()
    sender.join(patience)


def current() -> Span | None:
    """Return the span of the caller; None outside of a trace that is sampled."""
    if _State.tracer is None:
        return None
    from opentelemetry import trace

    span = trace.get_current_span()
    # Not `is_recording`: the span of another process, made current by `continued`, records nothing here.
    return span if span.get_span_context().trace_flags.sampled else None


def span(name: str, *, sends: bool = False, **attributes: int | str) -> AbstractContextManager[object]:
    """Return a context in which a child of the caller's span is the span. It `sends` a message, or not."""
    return _NOTHING if current() is None else _recorded(name, None, sends=sends, **attributes)


def joined(name: str, spans: Sequence[Span | None]) -> AbstractContextManager[object]:
    """Return a context with a child of the first of several spans, that is linked with all of them.

    For work that is done once for several requests. Those that are None do not count.
    """
    there = [each for each in spans if each is not None]
    return _recorded(name, there) if there else _NOTHING


@contextmanager
def _recorded(
    name: str, spans: Sequence[Span] | None, *, sends: bool = False, **attributes: int | str
) -> Iterator[None]:
    from opentelemetry import trace

    first, *others = spans or [None]
    with _State.tracer.start_as_current_span(
        name,
        context=trace.set_span_in_context(first) if first is not None else None,
        kind=trace.SpanKind.PRODUCER if sends else trace.SpanKind.INTERNAL,
        links=[trace.Link(each.get_span_context()) for each in others],
        attributes=_named(attributes),
        # The text of an error may name files.
        record_exception=False,
        set_status_on_exception=False,
    ) as found:
        for each in others:
            each.add_link(found.get_span_context())
        try:
            yield
        except BaseException as error:
            _fail(found, type(error).__qualname__)
            raise


def note(**attributes: int | str) -> None:
    """Add attributes to the span of the caller."""
    if _State.tracer is not None and (span := current()) is not None:
        span.set_attributes(_named(attributes))


def stages(began_ns: int, seconds: Mapping[str, float], names: Sequence[str]) -> None:
    """Add a child to the span of the caller for each stage that took time, one after the other.

    `began_ns` is when the first began, in nanoseconds since 1970. A chunk takes turns in reading, decoding
    and predicting, so each of these spans has the sum of its turns.
    """
    if current() is None:
        return
    for name in names:
        if name in seconds:
            ended_ns = began_ns + round(seconds[name] * 1e9)
            _State.tracer.start_span(name, start_time=began_ns).end(ended_ns)
            began_ns = ended_ns


def now_ns() -> int:
    """Return nanoseconds since 1970, as `stages` takes them."""
    return time.time_ns()


def traceparent() -> str | None:
    """Return the span of the caller as text, as W3C Trace Context defines it; None outside of a trace."""
    span = current()
    if span is None:
        return None
    found = span.get_span_context()
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{int(found.trace_flags):02x}"


def headers() -> dict[str, str] | None:
    """Return the headers by which the receiver of a message continues the trace; None outside of one."""
    found = traceparent()
    return {"traceparent": found} if found else None


@contextmanager
def _continued(traceparent: str) -> Iterator[None]:
    from opentelemetry import context

    token = context.attach(_remote(traceparent))
    try:
        yield
    finally:
        context.detach(token)


def continued(traceparent: str | None) -> AbstractContextManager[object]:
    """Return a context in which the span of the caller is a stored one."""
    return _continued(traceparent) if _State.tracer is not None and traceparent else _NOTHING


def begin(name: str, traceparent: str | None, *, is_new: bool) -> Begun | None:
    """Begin the span of a message that was received; None if it belongs to no trace.

    Without a `traceparent`, the span begins a trace if the message `is_new` work. `end` ends it, in the same
    thread.
    """
    if _State.tracer is None or not (traceparent or is_new):
        return None
    from opentelemetry import context, trace

    parent = _remote(traceparent) if traceparent else context.Context()
    span = _State.tracer.start_span(name, context=parent, kind=trace.SpanKind.CONSUMER)
    return Begun(span, context.attach(trace.set_span_in_context(span, parent)))


def end(begun: Begun, error: str | None = None) -> None:
    """End a span that `begin` began, with the kind of its error."""
    from opentelemetry import context

    context.detach(begun.token)
    if error:
        _fail(begun.span, error)
    begun.span.end()


def carried(function: Callable[P, T]) -> Callable[P, T]:
    """Return a function that does the same in another thread, within the trace of the caller."""
    if current() is None:
        return function
    here = contextvars.copy_context()
    return lambda *args, **kwargs: here.run(function, *args, **kwargs)


def _remote(traceparent: str) -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent})


def _fail(span: Span, error: str) -> None:
    from opentelemetry.trace import StatusCode

    span.set_attribute("error.type", error)
    span.set_status(StatusCode.ERROR)


def _named(attributes: Mapping[str, int | str]) -> dict[str, int | str]:
    return {f"returns.{name}": value for name, value in attributes.items()}
