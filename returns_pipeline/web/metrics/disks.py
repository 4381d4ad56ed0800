"""Free space of the folders of photos and results."""

import os
import threading
from pathlib import Path

from returns_pipeline.records.places import ObjectFolder
from returns_pipeline.settings import Settings

#: Seconds to wait for a file server. One that hangs must not delay the other metrics.
_PATIENCE = 0.5


class Disks:
    """Reads how many bytes are free on the disks of a home, its archive and its quarantine."""

    def __init__(self, settings: Settings) -> None:
        """Read nothing yet. Folders of an object store have no disk."""
        folders = {
            "home": settings.home,
            "archive": settings.archive_dir,
            "quarantine": settings.quarantine_dir,
        }
        self._folders = {name: path for name, path in folders.items() if not isinstance(path, ObjectFolder)}
        self._reader: threading.Thread | None = None
        self._found: dict[str, tuple[int, int]] = {}

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Return (free bytes, bytes) of each disk, by the first of its folders; nothing while one hangs."""
        if self._reader is None or not self._reader.is_alive():
            # A daemon, so that a file server that hangs does not keep the process from ending.
            self._reader = threading.Thread(target=self._read, name="disks", daemon=True)
            self._reader.start()
        self._reader.join(_PATIENCE)
        return {} if self._reader.is_alive() else self._found

    def _read(self) -> None:
        found: dict[int, tuple[str, int, int]] = {}
        for name, folder in self._folders.items():
            sizes = _sizes(folder)
            if sizes and sizes[0] not in found:
                found[sizes[0]] = name, *sizes[1:]
        self._found = {name: (free, total) for name, free, total in found.values()}


def _sizes(folder: Path) -> tuple[int, int, int] | None:
    """Return the number of a folder's device, and its free and all bytes; None if the folder is missing."""
    try:
        disk = os.statvfs(folder)
        return folder.stat().st_dev, disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    except OSError:
        return None
