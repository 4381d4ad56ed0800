"""The requests that are sent to object stores, counted: stores charge for each."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import obstore

from returns_pipeline.photos.sent_requests import add

_P = ParamSpec("_P")
_R = TypeVar("_R")


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
