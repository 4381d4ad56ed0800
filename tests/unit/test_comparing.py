"""The comparison of two models, against numbers worked out by hand and against simulated draws."""

import math

import numpy as np
import pytest

from returns_pipeline.training.evaluation.comparison import compare, mcnemar, paired_interval, wilson


def test_mcnemar_of_hand_made_examples() -> None:
    """Twice the binomial tail: 1 against 5 is 2 * (1 + 6) / 64; without a difference it is 1."""
    assert mcnemar(1, 5) == mcnemar(5, 1) == pytest.approx(14 / 64)
    assert mcnemar(0, 10) == pytest.approx(2 / 1024)
    assert mcnemar(0, 0) == mcnemar(4, 4) == 1
    assert mcnemar(3, 4) == 1


def test_mcnemar_of_many_images_is_still_a_number() -> None:
    """Sums larger than any float do not overflow, and are computed quickly."""
    assert 0 <= mcnemar(100, 5_000) < 1e-300
    assert mcnemar(4_950, 5_050) == pytest.approx(math.erfc(99.0 / math.sqrt(2 * 10_000)), rel=0.01)


def test_wilson_of_the_textbook() -> None:
    """81 of 263: 0.2553 to 0.3662, the example of Newcombe 1998, table I."""
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0.0, 10)[0] == pytest.approx(0, abs=1e-12)


def test_the_interval_covers_the_true_difference_as_often_as_stated() -> None:
    """Of 2,000 draws with a known difference about 95 % have it in their interval."""
    chances = np.array([0.70, 0.12, 0.07, 0.11])  # both, only second, only first, neither
    draws = np.random.default_rng(2).multinomial(300, chances, size=2_000)
    intervals = [paired_interval(*map(int, draw)) for draw in draws]
    covered = np.mean([low <= 0.05 <= high for low, high in intervals])
    assert 0.94 <= covered <= 0.975


def test_the_interval_stays_within_its_bounds() -> None:
    """At the edges it stays within -1 and 1, and swapping the models swaps its sign."""
    for cells in ((5, 0, 0, 0), (0, 0, 0, 5), (0, 5, 0, 0), (3, 2, 0, 1)):
        low, high = paired_interval(*cells)
        both, only_second, only_first, neither = cells
        assert -1 <= low <= (only_second - only_first) / sum(cells) <= high <= 1
        turned = paired_interval(both, only_first, only_second, neither)
        assert turned == pytest.approx((-high, -low))


def test_a_comparison_names_the_better_model() -> None:
    """The sentence names the better model only if the difference is significant; labels are sorted by it."""
    truth = np.repeat([0, 1, 2], [40, 40, 20])
    first = np.ones(100, bool)
    first[40:60] = False
    second = np.ones(100, bool)
    second[:1] = False
    found = compare(truth, first, second, ["a", "b", "c"])
    assert (found.only_first, found.only_second) == (1, 20)
    assert found.difference == pytest.approx(0.19)
    assert found.low < 0.19 < found.high
    assert [row.label for row in found.labels] == ["b", "a", "c"]
    assert found.conclusion("old/1", "new/2").startswith("new/2 is better than old/1: +19.0 points (")
    back = compare(truth, second, first, ["a", "b", "c"])
    assert back.conclusion("new/2", "old/1").startswith("old/1 is worse than new/2: -19.0 points (")
    same = compare(truth, first, first, ["a", "b", "c"])
    assert same.p == 1
    assert same.conclusion("x", "y").startswith("x and y do not differ significantly: +0.0 points")
