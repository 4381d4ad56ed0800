"""How many requests this process has sent to object stores, counted without an import of obstore."""

import threading

_lock = threading.Lock()
_sent = 0


def sent() -> int:
    """Return how many requests this process has sent so far; one that a store refused counts once."""
    return _sent


def add(count: int = 1) -> None:
    """Count requests."""
    global _sent
    with _lock:
        _sent += count
