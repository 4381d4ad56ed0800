"""The goals of the pipeline as data, and how each figure follows from the measurements."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.results import Measured

Figure = Callable[[Measured], float | None]
_AT_LEAST, _AT_MOST, _LESS = ">=", "<=", "<"
_COMPARED = {_AT_LEAST: operator.ge, _AT_MOST: operator.le, _LESS: operator.lt}


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal: `figure` of the measurements must be at least, at most or less than `wanted`.

    `shown` is the format of both numbers, including the unit.
    """

    what: str
    sign: str
    wanted: float
    shown: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class Judged:
    """A goal and its figure, or None if it was not measured."""

    goal: Goal
    measured: float | None

    @property
    def is_reached(self) -> bool | None:
        """Whether the goal is reached, or None if it was not measured."""
        if self.measured is None:
            return None
        return bool(_COMPARED[self.goal.sign](self.measured, self.goal.wanted))

    @property
    def verdict(self) -> str:
        """The result in words: reached, missed, not measured."""
        return {True: "reached", False: "missed", None: "not measured"}[self.is_reached]

    def as_dict(self) -> dict[str, Any]:
        """Return the line as JSON."""
        goal = f"{self.goal.sign} {self.goal.wanted:g}"
        return {"what": self.goal.what, "goal": goal, "measured": self.measured, "verdict": self.verdict}


def judge(measured: Measured) -> list[Judged]:
    """Return every goal with its figure, in the order of the table."""
    return [Judged(goal, goal.figure(measured)) for goal in GOALS]


def _times(workload: str, other: str) -> Figure:
    """Divide the pipeline's images a second in a workload by those of `other`."""

    def figure(measured: Measured) -> float | None:
        pipeline, peer = (measured.results.get((workload, system)) for system in ("pipeline", other))
        return None if pipeline is None or peer is None else pipeline.rate / peer.rate

    return figure


def _rate(workload: str) -> Figure:
    def figure(measured: Measured) -> float | None:
        result = measured.results.get((workload, "pipeline"))
        return result.rate if result else None

    return figure


def _extra_cost_when_larger(measured: Measured) -> float | None:
    """Return the extra cost of an image in the large run of D over the small one; negative if cheaper."""
    large, small = (measured.results.get(("D", system)) for system in ("pipeline", "pipeline-tenth"))
    return small.rate / large.rate - 1 if large and small else None


def _largest_growth(measured: Measured) -> float | None:
    """Return the largest memory growth of a process, in MB."""
    result = measured.results.get(("D", "pipeline"))
    processes: Sequence[dict[str, Any]] = result.measured.detail.get("memory", ()) if result else ()
    return max((process["grown_mb"] for process in processes), default=None)


def _detail(module: str, name: str) -> Figure:
    def figure(measured: Measured) -> float | None:
        value = measured.details.get(module, {}).get(name)
        return None if value is None else float(value)

    return figure


GOALS = (
    Goal("A: images/s of the bare loop", _AT_LEAST, 0.75, "{:.2f} times", _times("A", "raw")),
    Goal("A: images/s of tf.data", _AT_LEAST, 1.2, "{:.2f} times", _times("A", "tf.data")),
    Goal("A: images/s of Ray Data", _AT_LEAST, 8, "{:.1f} times", _times("A", "ray")),
    Goal("A: images/s of one task an image", _AT_LEAST, 200, "{:,.0f} times", _times("A", "task")),
    Goal("A: images/s of HTTP", _AT_LEAST, 300, "{:,.0f} times", _times("A", "http")),
    Goal(
        "A: labels on which OpenVINO and Keras agree",
        _AT_LEAST,
        0.999,
        "{:.2%}",
        _detail("reference-A", "agreement"),
    ),
    Goal("B: images/s of the bare loop", _AT_LEAST, 0.9, "{:.2f} times", _times("B", "raw")),
    Goal("B: images/s of tf.data", _AT_LEAST, 3, "{:.2f} times", _times("B", "tf.data")),
    Goal("C: images/s without JPEG scaling", _AT_LEAST, 5, "{:.2f} times", _times("C", "unscaled")),
    Goal("D: images/s", _AT_LEAST, 15_000, "{:,.0f}", _rate("D")),
    Goal("D: extra cost of an image in ten times as many", _AT_MOST, 0.10, "{:.1%}", _extra_cost_when_larger),
    Goal("D: memory growth of a process", _LESS, 30, "{:.1f} MB", _largest_growth),
    Goal(
        "E: images/s of the bare loop in float32", _AT_LEAST, 2.2, "{:.2f} times", _times("E", "raw-float32")
    ),
    Goal("E: images/s of the bare loop in int8", _AT_LEAST, 0.85, "{:.2f} times", _times("E", "raw")),
    Goal("worker process ready", _LESS, 2, "{:.2f} s", _detail("worker-start", "ready_seconds")),
    Goal("worker process resident", _LESS, 250, "{:.0f} MB", _detail("worker-start", "rss_mb")),
    Goal("Redis, one chunk", _LESS, 300, "{:.0f} bytes", _detail("redis-memory", "bytes_per_chunk")),
    Goal(
        "Redis, a million images",
        _LESS,
        1_000_000,
        "{:,.0f} bytes",
        _detail("redis-memory", "bytes_for_a_million_images"),
    ),
    Goal(
        "desk: slowest search, SQLite", _LESS, 100, "{:.0f} ms", _detail("desk-sqlite", "slowest_search_ms")
    ),
    Goal(
        "desk: slowest search, PostgreSQL",
        _LESS,
        100,
        "{:.0f} ms",
        _detail("desk-postgresql", "slowest_search_ms"),
    ),
    Goal("desk: slowest page, SQLite", _LESS, 200, "{:.0f} ms", _detail("desk-sqlite", "slowest_page_ms")),
    Goal(
        "desk: slowest page, PostgreSQL",
        _LESS,
        200,
        "{:.0f} ms",
        _detail("desk-postgresql", "slowest_page_ms"),
    ),
    # 3 % of what a photo of workload B takes: 251 a second were measured.
    Goal(
        "desk: search's cost of a photo, SQLite", _LESS, 119, "{:.0f} µs", _detail("desk-sqlite", "search_us")
    ),
    Goal(
        "desk: search's cost of a photo, PostgreSQL",
        _LESS,
        119,
        "{:.0f} µs",
        _detail("desk-postgresql", "search_us"),
    ),
    Goal("returns-pipeline --help", _LESS, 0.3, "{:.2f} s", _detail("commands", "help_seconds")),
    Goal("returns-pipeline status", _LESS, 1, "{:.2f} s", _detail("commands", "status_seconds")),
)
