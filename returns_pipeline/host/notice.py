"""The file in which `up` notes the processes that wait for their next start, for `doctor` to read."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

_NAME = "up.json"
_LOCK_SECONDS = 0.5


class Notice:
    """The notice of a running `up`. Its lock ends with `up`, so that `doctor` ignores an old one."""

    def __init__(self, home: Path) -> None:
        """Open and lock the file. Without it, because the disk is full for example, nothing is noted."""
        self._descriptor: int | None = None
        with contextlib.suppress(OSError):
            self._descriptor = os.open(home / _NAME, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                _lock(self._descriptor)
            except OSError:
                self.close()
            self.write({})

    def write(self, pausing: Mapping[str, str]) -> None:
        """Replace the notice: why each process that pauses has ended, by name."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                length = os.pwrite(self._descriptor, json.dumps(pausing).encode(), 0)
                os.ftruncate(self._descriptor, length)

    def close(self) -> None:
        """Release the lock: nothing pauses any more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock(descriptor: int) -> None:
    """Lock the file. Raises BlockingIOError if another process has it for longer than a `doctor` needs it."""
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def read_notice(home: Path) -> dict[str, str] | None:
    """Return why each process of the running `up` that pauses has ended; None if no `up` runs here."""
    try:
        stream = (home / _NAME).open(encoding="utf-8")
    except OSError:
        return None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            with contextlib.suppress(ValueError):  # read while it was written
                return dict(json.load(stream))
            return {}
    return None
