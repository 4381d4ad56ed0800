"""How the memory of worker processes grows: samples of every process, and what they say."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import psutil

_EVERY_SECONDS = 0.5
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """The memory of one process, `held` bytes that it shares with no other, `at` seconds since 1970."""

    at: float
    pid: int
    name: str
    held: int


class Watch:
    """Samples every Celery process below this one, parents too, while the block runs."""

    def __init__(self) -> None:
        """Begin with no sample."""
        self.samples: list[Sample] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Begin to sample."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the last sample."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_EVERY_SECONDS):
            self._sample()
        self._sample()

    def _sample(self) -> None:
        for process in psutil.Process().children(recursive=True):
            try:
                name = _worker(process.cmdline())
                if name:
                    held = process.memory_full_info().uss
                    self.samples.append(Sample(time.time(), process.pid, name, held))
            except psutil.NoSuchProcess:
                continue


def _worker(command: list[str]) -> str | None:
    """Return the name of the Celery worker that a process belongs to, None for any other process."""
    if "worker" not in command or "-n" not in command:
        return None
    return command[command.index("-n") + 1].partition("@")[0]


def growth(samples: Iterable[Sample], first_chunks: Mapping[int, float]) -> list[dict[str, Any]]:
    """Return for each process its memory in MB after its first chunk, the most afterwards, and what it grew.

    `first_chunks` holds when each process had done its first chunk, in seconds since 1970. A process that
    does none (it scans, or it is the parent) is compared with what it held when the first of all was done.
    """
    if not first_chunks:
        return []
    of_process: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        of_process[sample.pid].append(sample)
    answer = []
    for pid, its in sorted(of_process.items()):
        since = first_chunks.get(pid, min(first_chunks.values()))
        # A round that is over sooner than the next sample has the last one alone.
        after = [sample.held / _MEGABYTE for sample in its if sample.at >= since] or [
            its[-1].held / _MEGABYTE
        ]
        answer.append(
            {
                "worker": its[0].name,
                "pid": pid,
                "classifies": pid in first_chunks,
                "first_mb": round(after[0], 1),
                "most_mb": round(max(after), 1),
                "grown_mb": round(max(after) - after[0], 1),
            }
        )
    return answer
