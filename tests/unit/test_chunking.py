"""How files are cut into chunks."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from returns_pipeline.photos.chunking import chunked, size_for


@given(st.integers(0, 3000), st.integers(1, 300))
def test_chunks_hold_every_item_once_and_grow_no_larger(count: int, size: int) -> None:
    """Every item is in one chunk, in its order, and no chunk is empty or larger than it may be."""
    found = list(chunked(range(count), size))
    assert [item for chunk in found for item in chunk] == list(range(count))
    assert all(1 <= len(chunk) <= size for chunk in found)


def test_the_last_chunks_grow_smaller() -> None:
    """Workers end together: the last two sizes' worth comes in halves, down to an eighth."""
    assert [len(chunk) for chunk in chunked(range(10_000), 1024)][-6:] == [1024, 904, 452, 226, 128, 98]
    assert [len(chunk) for chunk in chunked(range(303), 512)] == [152, 76, 64, 11]
    assert [len(chunk) for chunk in chunked(range(50), 512)] == [50]
    assert list(chunked(range(7), 3)) == [(0, 1, 2), (3, 4, 5), (6,)]
    assert list(chunked([], 3)) == []


def test_a_stream_is_read_only_a_little_ahead() -> None:
    """However many files there are, a few chunks' worth is held."""
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
def test_a_chunk_is_about_two_seconds_work(seconds: float | None, size: int) -> None:
    """Slow models get small chunks, so that little is lost with a process; fast ones get whole batches."""
    assert size_for(seconds, most_seconds=120) == size


def test_a_chunk_never_comes_near_its_time_limit() -> None:
    """Where a chunk may take little, it gets fewer images."""
    assert size_for(0.01, most_seconds=4) == 100
