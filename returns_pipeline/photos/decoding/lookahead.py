"""Maps a function over items in threads, with a bound on how far the threads run ahead of the caller."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_ahead(
    pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T], most: int
) -> Iterator[R]:
    """Yield `function(item)` for each item, in order; at most `most` results are pending or unread.

    Raises what `function` raises, when its item's turn comes. Calls that have not started are cancelled if
    the caller stops early.
    """
    rest = iter(items)
    pending: deque[Future[R]] = deque(pool.submit(function, item) for item in islice(rest, most))
    try:
        while pending:
            yield pending.popleft().result()
            pending.extend(pool.submit(function, item) for item in islice(rest, 1))
    finally:
        for future in pending:
            future.cancel()
