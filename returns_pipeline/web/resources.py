"""What one web process opens: connections, caches and limits, all in one typed value."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request

from returns_pipeline.records.reviews import ReviewCounts
from returns_pipeline.usecases import judging
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.reviews import BundleLookup
from returns_pipeline.web.queries.look_client import LookClient
from returns_pipeline.web.queries.worker_client import WorkerClient
from returns_pipeline.web.render.pictures import Pictures
from returns_pipeline.web.security.access import Authenticator
from returns_pipeline.web.security.bodies import Bodies


@dataclass(frozen=True, slots=True)
class Resources:
    """What routes share. The last five callables keep their result for some seconds.

    `bundle_of` returns the bundle NAME/VERSION and reads each once. `bodies` limits how many requests
    with images are in memory at the same time, and `pictures` how many photos are decoded.
    """

    context: Context
    authenticator: Authenticator
    workers: WorkerClient
    looks: LookClient
    bundle_of: BundleLookup
    bodies: Bodies
    pictures: Pictures
    readiness: Callable[[], dict[str, str]]
    obstacles: Callable[[], list[str]]
    metrics: Callable[[], bytes]
    review_counts: Callable[[], ReviewCounts]
    open_returns: Callable[[], dict[str | None, int]]

    def judge_returns(self) -> None:
        """Judge the returns of photos that a person has reviewed or deleted in this request."""
        judging.judge_now(self.context, self.bundle_of)


def resources_of(request: Request) -> Resources:
    """Return the resources of the process that serves a request."""
    found: Resources = request.app.state.resources
    return found
