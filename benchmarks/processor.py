"""The processor time of this process and of servers that it started, in nanoseconds."""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path


def clocks(servers: Callable[[], Iterable[int]] = tuple) -> dict[int, float]:
    """Return the seconds that this process (0), the processes `servers` and their children have computed.

    Time in which a process waits, for the disk or for other programs, does not count.
    """
    return {0: time.process_time()} | {pid: _seconds(pid) for server in servers() for pid in _family(server)}


def between(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """Return the seconds that were computed between two moments, without those of processes that ended."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items() if pid == 0 or seconds)


def _family(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        try:
            found += map(int, Path(f"/proc/{each}/task/{each}/children").read_text(encoding="ascii").split())
        except OSError:
            continue
    return found


def _seconds(pid: int) -> float:
    """Return the seconds of all threads of a process; 0 if it has ended."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9
    except OSError:
        return 0.0
