"""Metrics for Prometheus. All but the disks come from the database and the broker.

So every web process gives the same. Counters cover closed runs, so they never decrease. Open work is a gauge.
"""

from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from returns_pipeline.usecases.context import Context
from returns_pipeline.web.dependencies import Web
from returns_pipeline.web.metrics.collector import Collector
from returns_pipeline.web.metrics.returns import Counts, MatchCounts

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' text format."}},
)
def metrics(web: Web) -> Response:
    """Return counters of closed runs and gauges of open work."""
    return Response(web.metrics(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def exposition_of(context: Context, returns: Counts, matches: MatchCounts) -> Callable[[], bytes]:
    """Return a function that returns every metric in Prometheus' text format.

    `returns` and `matches` give the counts of both. They should keep them, because they are counted one by
    one.
    """
    registry = CollectorRegistry()
    registry.register(Collector(context, returns, matches))
    return lambda: generate_latest(registry)
