"""Files to chunks. Pure."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def chunked(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Yield tuples of `size` items, the last one shorter; at most `size` items are held at a time."""
    iterator = iter(items)
    while chunk := tuple(islice(iterator, size)):
        yield chunk
