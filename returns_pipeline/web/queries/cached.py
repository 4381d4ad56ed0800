"""Results that are the same for every caller, computed at most once in some seconds."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Cached(Generic[T]):
    """Calls `compute` at most once in `seconds`; callers in between get the last result."""

    def __init__(self, compute: Callable[[], T], seconds: float) -> None:
        """Compute nothing yet."""
        self._compute, self._seconds = compute, seconds
        self._lock = threading.Lock()
        self._until = 0.0
        self._last: T | None = None

    def __call__(self) -> T:
        """Return the result. An error of `compute` is raised to every caller, never kept."""
        with self._lock:
            if self._last is None or time.monotonic() > self._until:
                self._last = self._compute()
                self._until = time.monotonic() + self._seconds
            return self._last
