"""How often a model is right: the interval holds the truth as often as it says, whatever was reviewed."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.random import Generator

from returns_pipeline.quality.accuracy import Cell, estimate, estimates
from returns_pipeline.quality.distributions import beta_cdf, beta_quantile, t_tails

_BANDS = (0.3, 0.5, 0.6, 0.7)
_WORLDS = 1000


class Kind(NamedTuple):
    """Bounds of what the worlds of a kind have; photos and errors are drawn on a logarithmic scale."""

    photos: tuple[float, float] = (300, 12_000)
    errors: tuple[float, float] = (0.002, 0.1)
    drawn: tuple[float, ...] = (0.02, 0.05, 0.1, 0.3)
    all_unsure_reviewed: bool = False


KINDS = {
    "all": Kind(),
    "finite: most photos are drawn": Kind(photos=(100, 800), drawn=(0.5, 0.8, 1.0)),
    "rare errors": Kind(errors=(0.0005, 0.01), all_unsure_reviewed=True),
}
#: With so few reviews, an interval from 90 % to 100 % holds nearly every truth.
FEW = Kind(photos=(40, 600), drawn=(0.1, 0.3))


def world(rng: Generator, kind: Kind) -> tuple[list[Cell], float]:
    """Return the cells of some nights, and the true share of right labels.

    Each night draws another share of its sure photos. A part of the drawn ones is reviewed, in some worlds
    the first category first. Unsure photos are reviewed least sure first, some only; the probabilities that
    the model states are wrong by some points.
    """
    count = int(np.exp(rng.uniform(*np.log(kind.photos))))
    categories, nights = int(rng.integers(2, 11)), int(rng.integers(1, 15))
    category = rng.choice(categories, count, p=rng.dirichlet(np.full(categories, 2.0)))
    night = rng.integers(0, nights, count)
    errors = np.exp(rng.uniform(*np.log(kind.errors))) * rng.gamma(2, 0.5, categories)
    is_sure = rng.random(count) >= rng.uniform(0.02, 0.25)
    probability = np.where(is_sure, rng.uniform(0.9, 1, count), rng.uniform(0.25, 0.8, count))
    chance = np.where(is_sure, 1 - errors[category], probability + rng.normal(0, 0.07))
    right = rng.random(count) < np.clip(chance, 0.05, 1)
    share = rng.choice(kind.drawn, nights)
    drawn = np.flatnonzero(is_sure & (rng.random(count) < share[night]))
    first = (category[drawn] != 0) if rng.random() < 0.3 else np.zeros(len(drawn))
    part = rng.choice([1.0, rng.uniform(0.2, 1)])
    reviewed = drawn[np.lexsort((rng.random(len(drawn)), first))][: round(part * len(drawn))]
    unsure = np.flatnonzero(~is_sure)
    part = 1.0 if kind.all_unsure_reviewed else rng.choice([0.0, 1.0, rng.uniform()])
    unsure = unsure[np.argsort(probability[unsure])][: round(part * len(unsure))]
    seen = np.zeros(count, bool)
    seen[reviewed] = seen[unsure] = True
    # One cell for each category and night of the sure ones, and for each band of the unsure ones.
    stratum = np.where(is_sure, category, 100 + np.digitize(probability, _BANDS))
    place, cell = np.unique(stratum * nights + night * is_sure, return_inverse=True)
    weight = seen / np.where(is_sure, share[night], 1)
    sums = (
        np.bincount(cell, each)
        for each in (np.ones(count), probability, seen, seen & right, weight, weight * right, weight**2)
    )
    names = place // nights
    return [
        Cell(bool(name < 100), str(name), int(photos), float(stated), int(n), int(x), *map(float, weights))
        for name, photos, stated, n, x, *weights in zip(names, *sums, strict=True)
    ], float(right.mean())


def held(kind: Kind) -> float:
    """Return the share of worlds whose interval holds the truth."""
    rng = np.random.default_rng(17)
    worlds = [world(rng, kind) for _ in range(_WORLDS)]
    found = 0
    for made, (_, truth) in zip(estimates(cells for cells, _ in worlds), worlds, strict=True):
        assert made is not None
        assert 0 <= made.low <= made.high <= 1
        found += made.low - 1e-9 <= truth <= made.high + 1e-9
    return found / _WORLDS


@pytest.mark.parametrize("kind", KINDS)
def test_an_interval_of_95_percent_holds_the_truth_in_95_of_100_worlds(kind: str) -> None:
    """Whatever was reviewed first, and whatever was not: the truth is inside for 93 to 97 % of the worlds."""
    assert 0.93 <= held(KINDS[kind]) <= 0.97


def test_an_interval_of_few_reviews_holds_the_truth_at_least_as_often() -> None:
    """With a handful of sure photos reviewed the interval may hold more than it says, but not less."""
    assert 0.93 <= held(FEW) <= 0.985


def cell(photos: int, reviewed: int, right: int, share: float = 0.1, *, is_sure: bool = True) -> Cell:
    """Return a cell whose photos were drawn with the probability `share`."""
    weights = reviewed / share, right / share, reviewed / share**2
    return Cell(is_sure, "hat", photos, 0.95 * photos, reviewed, right, *weights)


def test_no_error_seen_is_no_certainty_and_everything_seen_is() -> None:
    """100 right of 100 leave room for errors among 1,000; 1,000 of 1,000 leave none, and need no more."""
    some, every = estimate([cell(1000, 100, 100)]), estimate([cell(1000, 1000, 990, 1.0)])
    assert some is not None
    assert some.right == 1.0 == some.high
    assert 0.96 < some.low < 0.99
    assert every == (1000, 1000, 0.99, 0.99, 0.99, 0)


def test_a_night_that_drew_more_does_not_count_for_more() -> None:
    """Of a bad night every photo is reviewed, of a good one as large a tenth: each counts for its photos."""
    found = estimate([cell(1000, 1000, 800, 1.0), cell(1000, 100, 100)])
    assert found is not None
    assert found.right == pytest.approx(0.9)
    assert (800 + 970) / 2000 < found.low < found.high == 0.9


def test_unsure_photos_without_a_review_are_not_like_the_least_sure_ones() -> None:
    """The least sure half was reviewed and mostly wrong; the other half is judged by its own probability."""
    wrong = Cell(False, "0", 100, 25.0, 100, 20, 100, 20, 100)
    waiting = Cell(False, "4", 100, 75.0)
    found = estimate([cell(1000, 1000, 1000, 1.0), wrong, waiting])
    assert found is not None
    assert found.right is not None
    assert found.right == pytest.approx((1000 + 20 + 75) / 1200)
    assert found.low < found.right < found.high


def test_a_probability_that_says_nothing_is_not_believed() -> None:
    """Photos that are unlike anything the model knows have high probabilities, and most are wrong."""
    strange = Cell(False, "-1", 100, None, 10, 1, 10, 1, 10)
    found = estimate([cell(1000, 1000, 1000, 1.0), strange])
    assert found is not None
    assert found.right == pytest.approx((1000 + 1 + 90 * 1.5 / 11) / 1100)
    assert found.low < (1000 + 10) / 1100 < found.high


def test_what_is_missing_is_said_and_is_enough() -> None:
    """After as many more reviews with as many errors in a hundred, the interval is as narrow as wanted."""
    before = estimate([cell(5000, 100, 96, 0.02)])
    assert before is not None
    assert before.more > 0
    reviewed = 100 + before.more
    after = estimate([cell(5000, reviewed, round(0.96 * reviewed), 0.1)])
    assert after is not None
    assert after.high - after.low == pytest.approx(0.04, abs=0.006)


def test_nothing_reviewed_is_unknown() -> None:
    """Without a reviewed sure photo no share is stated; without photos there is no estimate."""
    found = estimate([cell(500, 0, 0), cell(50, 50, 20, 1.0, is_sure=False)])
    assert found is not None
    assert found.right is None
    assert found.more > 0
    assert estimate([]) is None


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (2, 3), (0.5, 400.5), (3000.5, 12.5), (80, 80)])
def test_quantiles_of_the_beta_distribution(a: float, b: float) -> None:
    """A quantile is where a large sample has it, and the cumulative distribution leads back."""
    sample = np.random.default_rng(1).beta(a, b, 200_000)
    for share in (0.025, 0.5, 0.975):
        found = beta_quantile(share, a, b)
        assert beta_cdf(found, a, b) == pytest.approx(share, abs=1e-9)
        assert np.mean(sample <= found) == pytest.approx(share, abs=0.003)


def test_students_t_of_the_textbook() -> None:
    """Percentage points of E. Pearson and H. Hartley, Biometrika Tables for Statisticians I, table 12."""
    for t, freedom, tails in ((12.706, 1, 0.05), (2.228, 10, 0.05), (3.169, 10, 0.01), (3.646, 30, 0.001)):
        assert t_tails(t, freedom) == pytest.approx(tails, rel=1e-3)
