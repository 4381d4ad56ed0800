"""What Prometheus asks for. The database and the broker know it all, so any process of the web can tell it.

Counters are those of closed runs: they never go back. What is open is a gauge.
"""

from collections.abc import Iterator

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from returns_pipeline.errors import TransientFault
from returns_pipeline.records.tasks import Queue
from returns_pipeline.store import images, models, reviews, run_statistics
from returns_pipeline.store.database import Database, utc_now

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' text format."}},
)
def metrics(request: Request) -> Response:
    """Return counters of closed runs and gauges of what is open."""
    return Response(request.app.state.metrics(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def exposition(database: Database, queue: Queue) -> bytes:
    """Return every metric in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Collector(database, queue))
    return generate_latest(registry)


class _Collector:
    """Asks when it is asked."""

    def __init__(self, database: Database, queue: Queue) -> None:
        self._db, self._queue = database, queue

    def describe(self) -> list[Metric]:
        """Say nothing before it is asked: the registry would ask everything to find out."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; what the broker knows only while it answers."""
        yield from self._done()
        yield from self._open()
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
        yield _family(kind, "returns_stage_seconds", "Seconds of the workers.", "stage", stages)

    def _open(self) -> Iterator[Metric]:
        work = images.open_work(self._db)
        age = (utc_now() - work.oldest).total_seconds() if work.oldest else 0
        waiting = reviews.waiting(self._db)
        for name, meaning, value in (
            ("returns_open_images", "Images in chunks that are not done.", work.images),
            ("returns_open_chunks", "Chunks that are not done.", work.chunks),
            ("returns_open_leases", "Chunks that are worked on.", work.leased),
            ("returns_oldest_open_seconds", "Age of the oldest run with open chunks.", age),
            ("returns_reviews_waiting", "Images that wait for a person.", waiting),
        ):
            yield GaugeMetricFamily(name, meaning, value)
        active = GaugeMetricFamily(
            "returns_model_active", "The version that runs use.", labels=("name", "version")
        )
        for row in models.all_versions(self._db):
            if row.stage == "active":
                active.add_metric((row.facts.ref.name, str(row.facts.ref.version)), 1)
        yield active


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
