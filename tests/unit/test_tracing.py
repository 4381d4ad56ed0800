"""Traces are off without an address, and harm nothing without the SDK or a collector."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest

from returns_pipeline.settings import PROJECT_ROOT
from tests.web import free_port

USE = """
import time
from returns_pipeline import tracing
tracing.start("test")
begun = tracing.begin("message", None, is_new=True)
with tracing.span("step", sends=True, chunk=1), tracing.continued("00-" + "1" * 32 + "-" + "2" * 16 + "-01"):
    tracing.note(images=3)
    tracing.stages(tracing.now_ns(), {"read": 0.1}, ("read",))
print(begun is not None, tracing.carried(print) is print)
if begun:
    tracing.end(begun)
began = time.monotonic()
tracing.stop(0.3)
assert time.monotonic() - began < 5
"""


def python(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program that succeeds, with no variable of OpenTelemetry but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", script],
        env=kept | environment,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


def test_nothing_is_imported_without_an_address() -> None:
    """A worker that sends no traces has nothing in its memory that makes or sends them."""
    found = python("import sys, workers.tasks; print(*sys.modules)").stdout.split()
    # The client of Redis imports the part for metrics if it is installed.
    assert "returns_pipeline.tracing" in found
    assert [name for name in found if re.match(r"opentelemetry\.(sdk\.trace|exporter)", name)] == []


def test_without_the_sdk_a_process_warns_and_works() -> None:
    """The variables may be set for all programs of a machine."""
    without = "import sys; sys.modules['opentelemetry.sdk.trace'] = None\n"
    done = python(without + USE, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert done.stdout.splitlines()[-1] == "False True"
    assert "traces_off" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "variables", [{}, {"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}], ids=str
)
def test_the_standard_variables_turn_traces_off(variables: dict[str, str]) -> None:
    """Without an address, or with one and a variable that says no."""
    address = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"} if variables else {}
    assert python(USE, **address, **variables).stdout == "False True\n"


@pytest.mark.skipif(
    importlib.util.find_spec("opentelemetry.sdk") is None and not os.environ.get("CI"),
    reason="the extra `trace` is not installed",
)
def test_a_collector_that_does_not_answer_delays_nothing() -> None:
    """Spans are made and dropped, and the process ends in time."""
    done = python(USE, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    assert done.stdout.splitlines()[0] == "True False"
