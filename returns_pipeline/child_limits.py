"""Limits of child processes: what they may use, and that they end with their parent."""

import ctypes
import os
import resource
import signal
import sys

from returns_pipeline.settings import PREFIX

_PR_SET_PDEATHSIG = 1


def environment_without_settings() -> dict[str, str]:
    """Return the environment of this process without the settings, which hold passwords and secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def limit_memory(most_bytes: int) -> None:
    """Limit the bytes that this process may allocate, and write no core file if it crashes.

    RLIMIT_DATA counts what a process allocates. RLIMIT_AS would also count the code of every library, and
    what runtimes reserve without using it.
    """
    lower_limit(resource.RLIMIT_DATA, most_bytes)
    lower_limit(resource.RLIMIT_CORE, 0)


def lower_limit(kind: int, most: int) -> None:
    """Set a limit of `resource` for this process; a lower limit that the machine or container sets stays."""
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def end_with_parent() -> None:
    """Ask Linux to send this process SIGTERM when its parent dies for any reason."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
