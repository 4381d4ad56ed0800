"""Exact search among vectors, and how far neighbours agree."""

import numpy as np
import pytest

from returns_pipeline.classify.spaces.embedder import quantized
from returns_pipeline.vectors import nearest
from returns_pipeline.vectors.agreement import agreement, neighbours
from returns_pipeline.vectors.nearest import Exact


@pytest.mark.parametrize("converted", [500, 499])
def test_exact_search_is_the_cosine(monkeypatch: pytest.MonkeyPatch, converted: int) -> None:
    """The nearest are those with the largest cosine, computed in float64; equal ones come by id.

    This holds whether the vectors are kept as float32 or converted in parts.
    """
    monkeypatch.setattr(nearest, "MOST_CONVERTED", converted)
    monkeypatch.setattr(nearest, "_AT_ONCE", 64)
    draw = np.random.default_rng(0)
    rows = draw.integers(-127, 128, (500, 24)).astype(np.int8)
    rows[7] = rows[3]
    one = rows[3]
    wide = rows.astype(float)
    cosines = wide @ one / np.linalg.norm(wide, axis=1) / np.linalg.norm(one.astype(float))
    found = Exact(np.arange(500), rows).search(one, 10)
    assert found.ids.tolist()[:2] == [3, 7]
    assert found.ids.tolist() == np.lexsort((np.arange(500), -cosines.round(6)))[:10].tolist()
    assert found.cosines == pytest.approx(np.sort(cosines)[::-1][:10], abs=1e-5)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_fewer_vectors_than_wanted_are_all_found(count: int) -> None:
    """A small or empty catalogue gives what it has."""
    rows = np.eye(4, dtype=np.int8)[:count] * 9
    assert len(Exact(np.arange(count), rows).search(np.array([9, 0, 0, 0], np.int8), 5).ids) == count


def test_quantizing_keeps_directions() -> None:
    """int8 keeps each direction within a degree, and zeros stay zeros."""
    rows = (
        np.random.default_rng(0).normal(size=(50, 128)).astype(np.float32) * np.logspace(-6, 6, 50)[:, None]
    )
    kept = quantized(rows.astype(np.float32)).astype(float)
    cosines = (kept * rows).sum(1) / np.linalg.norm(kept, axis=1) / np.linalg.norm(rows, axis=1)
    assert cosines.min() > np.cos(np.radians(1))
    assert not quantized(np.zeros((1, 8), np.float32)).any()


def test_agreement_leaves_a_product_out_of_its_own_neighbours() -> None:
    """Two tight groups agree fully; a product without a value is not counted but may be a neighbour."""
    draw = np.random.default_rng(0)
    rows = np.concatenate([draw.integers(90, 100, (8, 6)), -draw.integers(90, 100, (8, 6))]).astype(np.int8)
    nearest = neighbours(rows)
    assert not (nearest == np.arange(16)[:, None]).any()
    whole = agreement(nearest, ["a"] * 8 + ["b"] * 8)
    assert whole == (16, 1.0, 1.0)
    part = agreement(nearest, [""] * 4 + ["a"] * 4 + ["b"] * 8)
    assert part.products == 12
    assert part.among_five < 1
