"""The message broker's twin inside one process: keeps the messages and delivers them when told to.

For tests and for trying a use-case by hand; real enough to deliver a message twice or lose it.
"""

import itertools
from collections import deque
from pathlib import Path

from returns_pipeline import explaining, nightly, working
from returns_pipeline.pipeline import Pipeline
from returns_pipeline.records.jobs import Job
from returns_pipeline.records.runs import RunKind


class InlineQueue:
    """Holds (use-case, id) messages in the order they were sent."""

    def __init__(self) -> None:
        """Begin with no message."""
        self.chunks: deque[int] = deque()
        self.closings: deque[int] = deque()
        self.scans: deque[tuple[str, Path | None]] = deque()
        self.jobs: deque[Job] = deque()
        self.explanations: deque[int] = deque()
        self.nights = 0
        self._numbers = itertools.count()

    def send_chunk(self, chunk_id: int, kind: RunKind) -> None:  # noqa: ARG002 - one queue serves both kinds
        """Keep a chunk's message."""
        self.chunks.append(chunk_id)

    def send_close(self, run_id: int) -> None:
        """Keep a closing's message."""
        self.closings.append(run_id)

    def send_scan(self, request_id: str, directory: Path | None) -> None:
        """Keep a scan's message."""
        self.scans.append((request_id, directory))

    def send_night(self) -> None:
        """Keep a night's message."""
        self.nights += 1

    def send_job(self, job: Job) -> None:
        """Keep a job."""
        self.jobs.append(job)

    def send_explain(self, image_id: int) -> None:
        """Keep an explanation's message."""
        self.explanations.append(image_id)

    def error_of(self, request_id: str) -> BaseException | None:  # noqa: ARG002 - errors are raised here
        """Return None: a request that fails here raises."""
        return None

    def forget(self, request_id: str) -> None:
        """Do nothing: no error is kept."""

    def is_idle(self) -> bool:
        """Whether no chunk's message waits."""
        return not self.chunks

    def lose_everything(self) -> None:
        """Forget every message, as a broker does that is emptied."""
        self.chunks.clear()
        self.closings.clear()
        self.scans.clear()
        self.jobs.clear()
        self.explanations.clear()
        self.nights = 0

    def deliver(self, pipeline: Pipeline) -> None:
        """Do the work of every message, and of those that are sent meanwhile."""
        while self.nights or self.scans or self.chunks or self.closings or self.explanations:
            if self.nights:
                self.nights -= 1
                nightly.scan_night(pipeline)
            elif self.scans:
                nightly.scan(pipeline, *self.scans.popleft())
            elif self.chunks:
                working.classify_chunk(pipeline, self.chunks.popleft(), f"message {next(self._numbers)}")
            elif self.explanations:
                explaining.explain(pipeline, self.explanations.popleft())
            else:
                nightly.close_run(pipeline, self.closings.popleft())
