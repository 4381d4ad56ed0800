"""Photos to chunks. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import TypeVar

#: How long a chunk should take. A longer one loses more work if its process dies; with shorter ones, claims
#: and commits cost more than the images.
_TARGET_SECONDS = 2.0
#: Largest share of its time limit that a chunk should take.
_TARGET_SHARE = 0.25
#: Fewer images are not worth a message; more save little, and more work is lost with a process.
_MIN_SIZE, _MAX_SIZE = 16, 2048
#: The size before any cost was measured.
_DEFAULT_SIZE = 512

T = TypeVar("T")


def size_for(seconds_per_image: float | None, most_seconds: float) -> int:
    """Return how many images a chunk should have if each takes `seconds_per_image`; None: not measured yet.

    A chunk's process is ended after `most_seconds`.
    """
    if not seconds_per_image:
        return _DEFAULT_SIZE
    size = int(min(_TARGET_SECONDS, most_seconds * _TARGET_SHARE) / seconds_per_image)
    # Multiples of 128 fill the batches of a small model.
    return max(_MIN_SIZE, min(size - size % 128 if size > 128 else size, _MAX_SIZE))


def chunked(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Yield tuples of at most `size` items; holds at most three times as many in memory.

    The first chunk has an eighth of `size`, but at least 16 items, and each next one twice as many: workers
    begin while most items are still listed. The chunks of the last 2 x `size` items get smaller: each has
    half of the rest, down to the size of the first. Workers that take the next chunk when they are free then
    finish at about the same time (guided self-scheduling: Polychronopoulos and Kuck, 1987).
    """
    iterator, held = iter(items), list[T]()
    least = min(size, max(_MIN_SIZE, size // 8))
    count = least
    while held := [*held, *islice(iterator, 2 * count + 1 - len(held))]:
        if len(held) <= 2 * count:
            break
        yield tuple(held[:count])
        held = held[count:]
        count = min(size, 2 * count)
    while held:
        count = max(least, -(-len(held) // 2))
        if len(held) < count + _MIN_SIZE:
            count = len(held)
        count = min(size, count)
        yield tuple(held[:count])
        held = held[count:]


def evenly(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Return the items in as few parts of at most `size` as possible, all about as large."""
    count = -(-len(items) // size)
    ends = [len(items) * part // count for part in range(count + 1)] if count else []
    return [items[start:end] for start, end in pairwise(ends)]
