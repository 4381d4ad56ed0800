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
        compared = {">=": operator.ge, "<": operator.lt}[self.sign]
        return "reached" if compared(self.measured, self.wanted) else "missed"

    @property
    def goal(self) -> str:
        """The goal in words."""
        words = {">=": "at least", "<": "below"}
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
    lost = float(many.refused + many.broken)
    yield Line(f"/predict, {MANY} clients: refused or broken", "<", 1, "{:.0f}", lost)
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
    yield Line(f"/predict, {MANY} clients: of BentoML", ">=", 1, "{:.2f}", bento)
    other = found.postgresql
    yield Line(
        f"PostgreSQL, {MANY} clients: of SQLite", ">=", 0.8, "{:.2f}", other and _ratio(other.many, many)
    )
    yield Line(
        "PostgreSQL, /process_batch: of SQLite",
        ">=",
        0.8,
        "{:.2f}",
        other and other.batch_rate / here.batch_rate,
    )
    yield Line("PostgreSQL, 1 client: of SQLite", ">=", 0.8, "{:.2f}", other and here.one.p50 / other.one.p50)


def _ratio(one: Waits, other: Waits) -> float:
    return one.predicted / other.predicted
