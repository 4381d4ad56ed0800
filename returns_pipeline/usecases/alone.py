"""Lets one process of an installation at a time work on a folder."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.1


@contextmanager
def alone(folder: Path, until: float = 0.0) -> Iterator[bool]:
    """Hold the folder's lock; yield whether no other process has it. The system releases it.

    Waits for another process until the monotonic time `until`.
    """
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not (is_alone := _lock(handle)) and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        yield is_alone
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
