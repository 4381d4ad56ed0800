"""Photos to chunks."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from returns_pipeline.photos.chunking import chunked, evenly, size_for


@given(st.integers(0, 3000), st.integers(1, 300))
def test_chunks_have_every_item_once_and_at_most_size_items(count: int, size: int) -> None:
    """Every item is in one chunk, in order, and no chunk is empty or larger than `size`."""
    found = list(chunked(range(count), size))
    assert [item for chunk in found for item in chunk] == list(range(count))
    assert all(1 <= len(chunk) <= size for chunk in found)


@given(st.integers(0, 3000), st.integers(1, 300))
def test_even_parts_are_few_and_about_as_large(count: int, size: int) -> None:
    """Every item is in one part, in order; no part is larger than `size`, and sizes differ by one at most."""
    found = evenly(range(count), size)
    assert [item for part in found for item in part] == list(range(count))
    sizes = {len(part) for part in found}
    assert len(found) == -(-count // size)
    assert not sizes or (max(sizes) <= size and max(sizes) - min(sizes) <= 1)


def test_the_first_and_the_last_chunks_are_smaller() -> None:
    """From an eighth of the size, each is twice as large; at the end each has half of the rest."""
    sizes = [len(chunk) for chunk in chunked(range(10_000), 1024)]
    assert sizes[:4] == [128, 256, 512, 1024]
    assert sizes[-6:] == [1024, 968, 484, 242, 128, 114]
    assert [len(chunk) for chunk in chunked(range(303), 512)] == [64, 120, 64, 55]
    assert [len(chunk) for chunk in chunked(range(50), 512)] == [50]
    assert list(chunked(range(7), 3)) == [(0, 1, 2), (3, 4, 5), (6,)]
    assert list(chunked([], 3)) == []


def test_a_stream_is_read_only_a_little_ahead() -> None:
    """For any number of items, few are held in memory, and the first chunk waits for few."""
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    chunks = chunked(items(), 400)
    given = 0
    for size in (50, 100, 200, 400, 400, 400):
        assert len(next(chunks)) == size
        given += size
        assert taken <= given + size + 1


@pytest.mark.parametrize(
    ("seconds", "size"),
    [(None, 512), (0.0, 512), (0.00014, 2048), (0.0025, 768), (0.035, 57), (0.5, 16), (60.0, 16)],
)
def test_a_chunk_takes_about_two_seconds(seconds: float | None, size: int) -> None:
    """Slow models get small chunks, which lose little with a process; fast models get full batches."""
    assert size_for(seconds, most_seconds=120) == size


def test_a_chunk_stays_far_below_its_time_limit() -> None:
    """A shorter time limit makes smaller chunks."""
    assert size_for(0.01, most_seconds=4) == 100
