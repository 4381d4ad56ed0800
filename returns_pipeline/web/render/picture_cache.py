"""Pictures on the disk, limited in bytes: those that were not used for the longest time are deleted."""

import contextlib
import os
import threading
import time
from pathlib import Path

import structlog

from returns_pipeline.errors import TransientFault
from returns_pipeline.private_files import make_private_folders, open_private
from returns_pipeline.report.whole_file import whole_file
from returns_pipeline.web.render.orders import Reply

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline.web")

#: The share of the limit that is left after pictures were deleted.
_KEPT = 0.75
#: Seconds after which the use of a picture is noted again.
_NOTED_SECONDS = 3600.0
#: Seconds for which a photo that cannot be drawn is not tried again. It may have failed for lack of time.
_FAILED_SECONDS = 600.0
#: Bytes that a small file takes on the disk.
_BLOCK = 4096
#: The first bytes of a file that holds the reason why a photo cannot be drawn.
_FAILED = b"cannot be drawn: "


class PictureCache:
    """A folder with a file for each picture, named by its key. Several processes may share it.

    Without a disk that can be written, nothing is kept and every picture is drawn again.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        """Create the folder with the first picture."""
        self._folder, self._most = folder, most_bytes
        self._lock = threading.Lock()
        #: Bytes of the folder as far as this process knows; None before it has listed the folder.
        self._used: int | None = None

    def get(self, key: str) -> Reply | None:
        """Return what was kept; None if it must be drawn."""
        path = self._folder / key
        try:
            age = time.time() - path.stat().st_mtime
            content = path.read_bytes()
        except OSError:
            return None
        if content.startswith(_FAILED):
            reason = content.removeprefix(_FAILED).decode(errors="replace")
            return Reply(None, reason) if 0 <= age < _FAILED_SECONDS else None
        if not _is_whole(content):
            return None
        if not 0 <= age < _NOTED_SECONDS:
            with contextlib.suppress(OSError):
                os.utime(path)
        return Reply(content)

    def put(self, key: str, reply: Reply) -> None:
        """Keep a picture, or the reason why there is none."""
        content = _FAILED + reply.reason.encode() if reply.webp is None else reply.webp
        make_private_folders([self._folder])
        try:
            with (
                whole_file(self._folder / key) as partial,
                open(partial, "wb", opener=open_private) as stream,
            ):
                stream.write(content)
            with self._lock:
                self._make_room(len(content))
        except (TransientFault, OSError) as error:
            log.warning("picture_not_kept", reason=str(error))

    def _make_room(self, added: int) -> None:
        """Count the new file; if the folder holds too much, list it and delete the oldest files."""
        if self._used is not None:
            self._used += max(added, _BLOCK)
        if self._used is not None and self._used <= self._most:
            return
        files = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    files.append((status.st_mtime, max(status.st_size, _BLOCK), entry.path))
        used = sum(size for _, size, _ in files)
        if used > self._most:
            for _, size, path in sorted(files):
                if used <= self._most * _KEPT:
                    break
                with contextlib.suppress(FileNotFoundError):
                    Path(path).unlink()
                used -= size
        self._used = used


def _is_whole(content: bytes) -> bool:
    """Whether a WebP has all its bytes: after a power failure a file may be cut off or hold zeros."""
    return content[:4] == b"RIFF" and int.from_bytes(content[4:8], "little") + 8 == len(content)
