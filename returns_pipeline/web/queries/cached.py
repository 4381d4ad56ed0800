"""Answers that are the same for everybody, asked for once in a while however many ask."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Cached(Generic[T]):
    """Calls `ask` at most once in `seconds`; whoever comes meanwhile gets the last answer."""

    def __init__(self, ask: Callable[[], T], seconds: float) -> None:
        """Ask nothing yet."""
        self._ask, self._seconds = ask, seconds
        self._lock = threading.Lock()
        self._until = 0.0
        self._last: T | None = None

    def __call__(self) -> T:
        """Return the answer. Raises what asking raises, each time."""
        with self._lock:
            if self._last is None or time.monotonic() > self._until:
                self._last = self._ask()
                self._until = time.monotonic() + self._seconds
            return self._last
