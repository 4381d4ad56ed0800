"""The processor time of this process and of servers that it started, in nanoseconds."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path


def clock(servers: Callable[[], Iterable[int]] = tuple) -> float:
    """Return the seconds that this process, the processes `servers` and all their children have computed.

    Time in which a process waits, for the disk or for other programs, does not count.
    """
    return time.process_time() + sum(_seconds(pid) for server in servers() for pid in _family(server))


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
