"""What a crawl has done so far, and why it stops."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from returns_pipeline.collecting.job import Stop
from returns_pipeline.errors import PipelineError


@dataclass(slots=True)
class Tally:
    """Counts of one call: new pictures, pages, bytes received, and refusals by their reason.

    `stopped` is None if everything was fetched; `fault` is the error that stopped the crawl.
    `is_whole` says that no request was lost: the queue can go on where it stopped.
    """

    on_picture: Callable[[int], None]
    pictures: int = 0
    pages: int = 0
    received: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    stopped: Stop | None = None
    fault: PipelineError | None = None
    is_whole: bool = False
    end: Callable[[], None] = lambda: None

    def add_picture(self) -> None:
        """Count a new picture."""
        self.pictures += 1
        self.on_picture(self.pictures)

    def stop(self, reason: Stop) -> None:
        """End the crawl; the first reason counts."""
        if self.stopped is None:
            self.stopped = reason
            self.end()

    def fail(self, fault: PipelineError) -> None:
        """End the crawl because of an error."""
        self.fault = self.fault or fault
        self.stop(Stop.FAILED)
