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


def test_the_last_chunks_are_smaller() -> None:
    """The chunks of the last 2 x size items have half of the rest each, down to an eighth of the size."""
    assert [len(chunk) for chunk in chunked(range(10_000), 1024)][-6:] == [1024, 904, 452, 226, 128, 98]
    assert [len(chunk) for chunk in chunked(range(303), 512)] == [152, 76, 64, 11]
    assert [len(chunk) for chunk in chunked(range(50), 512)] == [50]
    assert list(chunked(range(7), 3)) == [(0, 1, 2), (3, 4, 5), (6,)]
    assert list(chunked([], 3)) == []


def test_a_stream_is_read_only_a_little_ahead() -> None:
    """For any number of items, only a few chunks of them are held in memory."""
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    chunks = chunked(items(), 10)
    for number in range(1, 6):
        assert len(next(chunks)) == 10
        assert taken <= 10 * (number + 2) + 1


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
