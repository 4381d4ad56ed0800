"""Keeps features of photos on disk, within a bound on their bytes.

A file has the sha256 of its content, and then two arrays in NumPy's format: the keys of photos, uint8
[n, 32], and their features [n, …]. A file that was cut off or changed is ignored, and its features are
computed again.
"""

import contextlib
import hashlib
import io
import os
import uuid
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from returns_pipeline.private_files import make_folder, open_private

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DIGEST_BYTES = 32
_SUFFIX = ".features"


class FeatureCache:
    """The features of one network, in a folder that all networks share.

    Processes may share the folder. The files that were used longest ago are deleted first.
    """

    def __init__(self, folder: Path, network: str, most_bytes: int) -> None:
        """Use `folder`, for the network with this digest; keep at most so many bytes of all networks."""
        self._all, self._own, self._most_bytes = folder, folder / network, most_bytes

    def known(self, keys: Set[bytes]) -> Iterator[tuple[list[bytes], "NDArray[Any]"]]:
        """Yield keys and features [n, …] of files that have any of these keys, and perhaps others."""
        for path in sorted(self._own.glob(f"*{_SUFFIX}")):
            content = _read(path)
            if content is not None and not keys.isdisjoint(content[0]):
                with contextlib.suppress(OSError):  # another process deletes it
                    os.utime(path)
                yield content

    def keep(self, keys: Sequence[bytes], features: "NDArray[Any]") -> None:
        """Write a file with features [n, …] of n keys, each a sha256. Raises OSError if it cannot."""
        stream = io.BytesIO()
        np.save(stream, np.frombuffer(b"".join(keys), np.uint8).reshape(-1, _DIGEST_BYTES))
        np.save(stream, features)
        content = stream.getbuffer()
        make_folder(self._own)
        path = self._own / f"{uuid.uuid4().hex}{_SUFFIX}"
        try:
            with open(path, "xb", opener=open_private) as file:
                file.write(hashlib.sha256(content).digest())
                file.write(content)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        self._trim()

    def _trim(self) -> None:
        files = []
        for path in self._all.glob(f"*/*{_SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                files.append((status.st_mtime_ns, status.st_size, path))
        excess = sum(size for _, size, _ in files) - self._most_bytes
        for _, size, path in sorted(files):
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= size


def _read(path: Path) -> tuple[list[bytes], "NDArray[Any]"] | None:
    """Return the keys and the features of a file; None for one that is damaged or gone."""
    try:
        content = memoryview(path.read_bytes())
    except OSError:
        return None
    digest, rest = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(rest).digest() != digest:
        return None
    stream = io.BytesIO(rest)
    keys, features = np.load(stream), np.load(stream)
    return [key.tobytes() for key in keys], features
