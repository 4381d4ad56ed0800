"""The machine and the versions that a figure was measured with."""

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from returns_pipeline.host.embedded_redis import find_redis_server

_PACKAGES = ("celery", "keras", "tensorflow-cpu", "openvino", "pillow", "sqlalchemy", "ray")
_GIBIBYTE = 1024**3


def describe() -> dict[str, Any]:
    """Return cores, CPU, memory in GiB, the load of the last minute, and the versions of the libraries."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIBIBYTE
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _cpu(),
        "memory_gib": round(memory, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "redis": _redis(),
        **{package: _version(package) for package in _PACKAGES},
    }


def as_line(machine: dict[str, Any]) -> str:
    """Return the description as one line for people."""
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", "redis", *_PACKAGES))
    return (
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, "
        f"load before {machine['load_before']}; {versions}"
    )


def _cpu() -> str:
    found = re.search(
        r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE
    )
    return found.group(1) if found else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _redis() -> str:
    answer = subprocess.run([find_redis_server(), "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"v=(\S+)", answer.stdout)
    return found.group(1) if found else answer.stdout.strip()
