"""Fetches the photos of a chunk ahead of the decoder, which would wait for the network at each photo."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from returns_pipeline.records.images import PendingImage

#: Photos that are fetched or wait for the decoder, and the most bytes of them.
_MOST_AHEAD = 32
_MOST_BYTES = 64 * 1024 * 1024


class FetchedAhead:
    """Reads photos, which are asked for in about the order of `images`. Threads may share it.

    Enter it before the first `read`; leaving it cancels what was not read.
    """

    def __init__(
        self, read: Callable[[PendingImage, int], bytes], images: Sequence[PendingImage], max_bytes: int
    ) -> None:
        """Prepare; nothing is fetched yet."""
        self._read, self._images, self._max_bytes = read, images, max_bytes
        self._next = 0
        self._bytes = 0
        self._pending: dict[int, Future[bytes]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_MOST_AHEAD, "fetch")

    def __enter__(self) -> Self:
        """Begin to fetch."""
        with self._lock:
            self._fetch_more()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel what was not read, and wait for the requests that are under way."""
        self._pool.shutdown(cancel_futures=True)

    def read(self, image: PendingImage, max_bytes: int) -> bytes:
        """Return a photo's content when it has arrived. Raises as PhotoSource.read."""
        with self._lock:
            found = self._pending.pop(image.id, None)
        if found is None:
            return self._read(image, max_bytes)
        try:
            return found.result()
        finally:
            with self._lock:
                self._bytes -= image.size
                self._fetch_more()

    def _fetch_more(self) -> None:
        while self._next < len(self._images) and len(self._pending) < _MOST_AHEAD:
            image = self._images[self._next]
            # One photo is fetched whatever its size.
            if self._pending and self._bytes + image.size > _MOST_BYTES:
                return
            self._pending[image.id] = self._pool.submit(self._read, image, self._max_bytes)
            self._bytes += image.size
            self._next += 1
