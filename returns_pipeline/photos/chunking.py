"""Files to chunks. Pure."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

#: What a chunk should take: longer, and more is lost with a process that dies; shorter, and claims and
#: commits cost more than the images. And no more than this share of what it may take.
_CHUNK_SECONDS, _SHARE = 2.0, 0.25
#: Fewer are not worth a message; more save too little to be worth what may be lost.
_LEAST, _MOST = 16, 2048
#: Where nothing is known yet.
_USUAL = 512

T = TypeVar("T")


def size_for(seconds_per_image: float | None, most_seconds: float) -> int:
    """Return how many images a chunk should have when one costs `seconds_per_image`; None: not known yet.

    A chunk may take `most_seconds` before its process is ended.
    """
    if not seconds_per_image:
        return _USUAL
    size = int(min(_CHUNK_SECONDS, most_seconds * _SHARE) / seconds_per_image)
    # Whole batches of a small model waste nothing.
    return max(_LEAST, min(size - size % 128 if size > 128 else size, _MOST))


def chunked(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Yield tuples of at most `size` items; at most three times as many are held at a time.

    The last two sizes' worth is handed out in halves, down to an eighth of the size but to no fewer than 16,
    so that workers that take chunks as they get free come to an end at about the same time (guided
    self-scheduling: Polychronopoulos and Kuck, 1987).
    """
    iterator = iter(items)
    held = list(islice(iterator, 2 * size + 1))
    while len(held) > 2 * size:
        yield tuple(held[:size])
        held = [*held[size:], *islice(iterator, size)]
    least = max(_LEAST, size // 8)
    while held:
        count = min(size, max(least, -(-len(held) // 2)))
        yield tuple(held[:count])
        held = held[count:]
