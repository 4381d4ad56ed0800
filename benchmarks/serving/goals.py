"""The goals of the HTTP interface, and whether they are reached."""

import operator
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.serving.clients import Waits
from benchmarks.serving.measuring import BATCH, MANY, Figures


class Line(NamedTuple):
    """A figure and its goal, at least or at most `wanted`; `shown` is the format of both."""

    what: str
    sign: str
    wanted: float
    shown: str
    measured: float | None

    @property
    def verdict(self) -> str:
        """The result in words."""
        if self.measured is None:
            return "not measured"
        compared = {">=": operator.ge, ">": operator.gt, "<": operator.lt}[self.sign]
        return "reached" if compared(self.measured, self.wanted) else "missed"

    @property
    def goal(self) -> str:
        """The goal in words."""
        words = {">=": "at least", ">": "more than", "<": "below"}
        return f"{words[self.sign]} {self.shown.format(self.wanted)}"

    @property
    def figure(self) -> str:
        """The figure in words."""
        return "" if self.measured is None else self.shown.format(self.measured)


class Compared(NamedTuple):
    """What one run measured: the installation on SQLite and on PostgreSQL, and other servers of the model."""

    sqlite: Figures
    plain: Waits
    bento: Waits | None = None
    postgresql: Figures | None = None


def judged(found: Compared) -> Iterator[Line]:
    """Yield every goal with its figure."""
    here, many = found.sqlite, found.sqlite.many
    yield Line(
        f"/predict, {MANY} clients: of the plain process", ">=", 0.5, "{:.2f}", _ratio(many, found.plain)
    )
    yield Line("requests of all parts: refused or broken", "<", 1, "{:.0f}", float(_lost(found)))
    yield Line("/predict, 1 client: p50", "<", 15, "{:.1f} ms", here.one.p50)
    steady = here.steady
    yield Line("20 requests/s: p50", "<", 20, "{:.1f} ms", steady and steady.p50)
    yield Line("20 requests/s: p99", "<", 80, "{:.1f} ms", steady and steady.p99)
    yield Line("20 requests/s: longest", "<", 250, "{:.0f} ms", steady and steady.longest)
    night = here.night
    yield Line("20 requests/s beside a night: p99", "<", 300, "{:.0f} ms", night and night.waits.p99)
    yield Line(
        "the night beside them: of its speed alone",
        ">=",
        0.85,
        "{:.2f}",
        night and night.alone / night.beside,
    )
    yield Line(f"/process_batch, {BATCH:,} images", ">=", 4000, "{:,.0f} images/s", here.batch_rate)
    bento = None if found.bento is None else _ratio(many, found.bento)
    yield Line(f"/predict, {MANY} clients: of BentoML", ">", 1, "{:.2f}", bento)
    yield from _of_sqlite(here, found.postgresql)


def _of_sqlite(here: Figures, other: Figures | None) -> Iterator[Line]:
    """Yield how fast PostgreSQL is beside SQLite."""
    steady = other and here.steady and other.steady and here.steady.p50 / other.steady.p50
    for what, ratio in (
        (f"{MANY} clients", other and _ratio(other.many, here.many)),
        ("1 client", other and here.one.p50 / other.one.p50),
        ("20 requests/s, p50", steady),
        ("/process_batch", other and other.batch_rate / here.batch_rate),
    ):
        yield Line(f"PostgreSQL, {what}: of SQLite", ">=", 0.8, "{:.2f}", ratio)


def _lost(found: Compared) -> int:
    """Return how many requests of this installation had no prediction."""
    figures = [each for each in (found.sqlite, found.postgresql) if each]
    waits = [wait for each in figures for wait in (each.one, each.many, each.steady) if wait]
    waits += [each.night.waits for each in figures if each.night]
    return sum(wait.refused + wait.broken for wait in waits)


def _ratio(one: Waits, other: Waits) -> float:
    return one.predicted / other.predicted
