"""The clock of the file server that a folder lies on. It may differ from the clock of this machine."""

import contextlib
import os

from returns_pipeline.photos.intake_rules import OWN_PREFIX

#: One name for all processes, so that a process that is killed leaves one file at most.
_PROBE = f"{OWN_PREFIX}clock"


class FileServerClocks:
    """The present moment by the clock of each file system, read once from a file that is written there."""

    def __init__(self) -> None:
        """Begin without a clock."""
        self._now: dict[int, int | None] = {}
        self._tried = ""

    def now_ns(self, device: int, folder: str) -> int | None:
        """Return the moment in nanoseconds at which the clock of `folder` was read; None if it cannot be.

        `device` is the number of the folder's file system. A refusal is tried again in the next folder.
        """
        now = self._now.get(device)
        if now is None and folder != self._tried:
            self._tried = folder
            now = self._now[device] = read_clock(folder)
        return now


def read_clock(folder: str) -> int | None:
    """Return the present moment in nanoseconds by the clock of the folder's file server.

    Writes a hidden file and removes it. None if the folder takes no file.
    """
    path = f"{folder}/{_PROBE}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, 0o600)
        try:
            # Without times, so that the server sets its own.
            os.utime(descriptor)
            return os.fstat(descriptor).st_ctime_ns
        finally:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(path)
    except OSError:
        return None
