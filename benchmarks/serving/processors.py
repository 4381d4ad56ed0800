"""The processor time that the processes of an installation take for a prediction, whatever else runs."""

from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

import psutil

_Result = TypeVar("_Result")
_PARTS = ("web", "workers", "Redis")


def spent() -> dict[str, float]:
    """Return the seconds of processor that the child processes have used so far, by part."""
    found: dict[str, float] = defaultdict(float)
    for process in psutil.Process().children(recursive=True):
        try:
            command, times = " ".join(process.cmdline()), process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        if part := _part(command):
            found[part] += times.user + times.system
    return found


def _part(command: str) -> str:
    if command.endswith("returns_pipeline.cli web"):
        return "web"
    if "celery" in command:
        return "workers"
    return "Redis" if "redis" in command else ""


def measured(work: Callable[[], _Result], count: Callable[[_Result], int]) -> tuple[_Result, str]:
    """Do some work; return its result, and the milliseconds of each part for each of its `count` units."""
    before = spent()
    result = work()
    after, units = spent(), max(1, count(result))
    used = [f"{part} {1000 * (after[part] - before[part]) / units:.2f}" for part in _PARTS]
    return result, f"processor, ms for each: {', '.join(used)}"
