"""Metrics for Prometheus. All come from the database and the broker, so every web process gives the same.

Counters cover closed runs, so they never decrease. Open work is a gauge.
"""

from collections.abc import Callable, Iterator
from functools import partial

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from returns_pipeline.errors import TransientFault
from returns_pipeline.records.accuracy import ModelAccuracy
from returns_pipeline.records.tasks import Queue
from returns_pipeline.store import (
    images,
    match_lists,
    models,
    return_verdicts,
    review_queue,
    run_statistics,
)
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.usecases import accuracy
from returns_pipeline.web.dependencies import Web

router = APIRouter(tags=["health"])

#: (verdict, whether it is decided, number of returns), as `return_verdicts.counts` gives them.
Counts = Callable[[], list[tuple[str, bool, int]]]
#: Number of matches by decision, as `match_lists.counts` gives them.
MatchCounts = Callable[[], dict[str, int]]

_MODEL = ("name", "version", "intake")
_ENDS = {
    "": "Share of right labels of the last days",
    "_low": "Lower end of its 95 % interval",
    "_high": "Upper end of its 95 % interval",
    "_reviews_missing": "Reviews that are missing for an interval of two points",
}


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' text format."}},
)
def metrics(web: Web) -> Response:
    """Return counters of closed runs and gauges of open work."""
    return Response(web.metrics(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def exposition(
    database: Database, queue: Queue, returns: Counts | None = None, matches: MatchCounts | None = None
) -> bytes:
    """Return every metric in Prometheus' text format.

    `returns` and `matches` give the counts of both; a caller may keep them, because they are counted one by
    one.
    """
    registry = CollectorRegistry()
    returns = returns or partial(return_verdicts.counts, database)
    matches = matches or partial(match_lists.counts, database)
    registry.register(_Collector(database, queue, returns, matches))
    return generate_latest(registry)


class _Collector:
    """Reads every metric when Prometheus collects."""

    def __init__(self, database: Database, queue: Queue, returns: Counts, matches: MatchCounts) -> None:
        self._db, self._queue, self._returns, self._matches = database, queue, returns, matches

    def describe(self) -> list[Metric]:
        """Return nothing: without this the registry would collect everything once to learn the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; those of the broker only while it answers."""
        yield from self._done()
        yield from self._open()
        yield from _accuracy(self._db)
        try:
            lengths, served = self._queue.lengths(), self._queue.served(timeout=0.3)
        except TransientFault:
            yield GaugeMetricFamily("returns_broker_up", "Whether the broker answers.", 0)
            return
        yield GaugeMetricFamily("returns_broker_up", "Whether the broker answers.", 1)
        yield _family(GaugeMetricFamily, "returns_queue_messages", "Messages that wait.", "queue", lengths)
        workers = {queue: len(served.get(queue, ())) for queue in lengths}
        yield _family(GaugeMetricFamily, "returns_workers", "Workers that serve a queue.", "queue", workers)

    def _done(self) -> Iterator[Metric]:
        states, labels, stages = run_statistics.totals(self._db)
        kind = CounterMetricFamily
        yield _family(kind, "returns_images", "Images of closed runs.", "state", states)
        yield _family(kind, "returns_labels", "Classified images of closed runs.", "label", labels)
        yield _family(
            kind, "returns_stage_seconds", "Seconds that workers spent in a stage.", "stage", stages
        )

    def _open(self) -> Iterator[Metric]:
        work = images.open_work(self._db)
        age = max(0.0, (utc_now() - work.oldest).total_seconds()) if work.oldest else 0
        waiting = review_queue.waiting(self._db)
        for name, meaning, value in (
            ("returns_open_images", "Images in unfinished chunks.", work.images),
            ("returns_open_chunks", "Unfinished chunks.", work.chunks),
            ("returns_open_leases", "Chunks that a worker has claimed.", work.leased),
            ("returns_oldest_open_seconds", "Age of the oldest run with unfinished chunks.", age),
            ("returns_reviews_waiting", "Images that wait for a review.", waiting),
        ):
            yield GaugeMetricFamily(name, meaning, value)
        by_verdict: dict[str, int] = {}
        undecided = 0
        for verdict, is_decided, count in self._returns():
            by_verdict[verdict] = by_verdict.get(verdict, 0) + count
            undecided += 0 if is_decided else count
        kind, meaning = GaugeMetricFamily, "Returns by verdict; `none` is not judged yet."
        yield _family(kind, "returns_verdicts", meaning, "verdict", by_verdict)
        yield kind("returns_undecided", "Returns that no person has decided.", undecided)
        meaning = "Photos that came in before, by what a person decided; `none` is not decided."
        yield _family(kind, "returns_matches", meaning, "decision", self._matches())
        active = GaugeMetricFamily(
            "returns_model_active", "The version that runs use.", labels=("name", "version")
        )
        for row in models.all_versions(self._db):
            if row.stage == "active":
                active.add_metric((row.facts.ref.name, str(row.facts.ref.version)), 1)
        yield active


def _accuracy(database: Database) -> Iterator[Metric]:
    """Yield how often each version is right, with the ends of the 95 % interval: in all, and by label."""
    found = accuracy.recent(database, utc_now())
    every = [(_names(each), each.recent) for each in found]
    by_label = [((*_names(each), label), of_label) for each in found for label, of_label in each.categories]
    for prefix, labels, estimates in (
        ("returns_accuracy", _MODEL, every),
        ("returns_label_accuracy", (*_MODEL, "label"), by_label),
    ):
        families = [
            GaugeMetricFamily(f"{prefix}{end}", f"{meaning}, estimated from reviews.", labels=labels)
            for end, meaning in _ENDS.items()
        ]
        for values, each in estimates:
            if each is None:
                continue
            for family, value in zip(families, (each.right, each.low, each.high, each.more), strict=True):
                if value is not None:
                    family.add_metric(values, value)
        yield from families


def _names(found: ModelAccuracy) -> tuple[str, str, str]:
    return found.model.name, str(found.model.version), found.intake or ""


def _family(
    kind: type[CounterMetricFamily] | type[GaugeMetricFamily],
    name: str,
    meaning: str,
    label: str,
    values: dict[str, int] | dict[str, float],
) -> Metric:
    family = kind(name, meaning, labels=(label,))
    for each, value in values.items():
        family.add_metric((each,), value)
    return family
