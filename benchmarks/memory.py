"""Growth of the memory of worker processes, from samples of every process."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import psutil

_INTERVAL_SECONDS = 0.5
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """Memory of one process: `unshared` bytes that no other process uses, at the Unix time `at`."""

    at: float
    pid: int
    name: str
    unshared: int


class Watch:
    """Samples every Celery process started by this one, parents included, while the block runs."""

    def __init__(self) -> None:
        """Take no sample yet."""
        self.samples: list[Sample] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Start sampling."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take a last sample."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_INTERVAL_SECONDS):
            self._sample()
        self._sample()

    def _sample(self) -> None:
        for process in psutil.Process().children(recursive=True):
            try:
                name = _worker_name(process.cmdline())
                if name:
                    unshared = process.memory_full_info().uss
                    self.samples.append(Sample(time.time(), process.pid, name, unshared))
            except psutil.NoSuchProcess:
                continue


def _worker_name(command: list[str]) -> str | None:
    """Return the name of the Celery worker that a process belongs to, or None for another process."""
    if "worker" not in command or "-n" not in command:
        return None
    return command[command.index("-n") + 1].partition("@")[0]


def growth(samples: Iterable[Sample], first_chunks: Mapping[int, float]) -> list[dict[str, Any]]:
    """Return the memory of each process in MB: after its first chunk, the maximum afterwards, the growth.

    `first_chunks` has the Unix time when each process finished its first chunk. A process without a chunk
    (it scans, or it is a parent) is measured from the first finished chunk of any process.
    """
    if not first_chunks:
        return []
    of_process: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        of_process[sample.pid].append(sample)
    answer = []
    for pid, own in sorted(of_process.items()):
        since = first_chunks.get(pid, min(first_chunks.values()))
        # A short round may end before the next sample; then the last sample is all there is.
        after = [sample.unshared / _MEGABYTE for sample in own if sample.at >= since] or [
            own[-1].unshared / _MEGABYTE
        ]
        answer.append(
            {
                "worker": own[0].name,
                "pid": pid,
                "classifies": pid in first_chunks,
                "first_mb": round(after[0], 1),
                "most_mb": round(max(after), 1),
                "grown_mb": round(max(after) - after[0], 1),
            }
        )
    return answer
