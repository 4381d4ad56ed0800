"""The requests that are sent to object stores, counted: stores charge for each."""

import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import obstore

_P = ParamSpec("_P")
_R = TypeVar("_R")

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


def _counted(function: Callable[_P, _R]) -> Callable[_P, _R]:
    @wraps(function)
    def counted(*arguments: _P.args, **named: _P.kwargs) -> _R:
        add()
        return function(*arguments, **named)

    return counted


copy = _counted(obstore.copy)
delete = _counted(obstore.delete)
get = _counted(obstore.get)
head = _counted(obstore.head)
put = _counted(obstore.put)
