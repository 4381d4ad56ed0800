"""Measures on labelled images how probable a right and a wrong expectation are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.records.verdicts import ExpectationRates, ShareSteps

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rates up to this one can be wanted; the steps end there.
HIGHEST_RATE = 0.2
#: Most steps of one curve.
MOST_STEPS = 150
#: Thresholds and rates have nine decimals, rounded to the safe side.
_SCALE = 1e9


def main_probabilities(
    probabilities: "NDArray[np.floating]", main_categories: Sequence[str]
) -> "tuple[NDArray[np.float64], NDArray[np.int64], list[str]]":
    """Return the probability of each main category, the sum over its labels: float64 [n, mains].

    `probabilities` [n, labels]. Also returns the index of each label's main category, int64 [labels], and the
    main categories in alphabetical order.
    """
    mains = sorted(set(main_categories))
    main_of = np.array([mains.index(main) for main in main_categories], np.int64)
    belongs = (main_of[:, None] == np.arange(len(mains))[None, :]).astype(np.float64)
    return np.minimum(probabilities.astype(np.float64) @ belongs, 1.0), main_of, mains


def expectation_rates(
    truth: "NDArray[np.integer]", probabilities: "NDArray[np.floating]"
) -> ExpectationRates:
    """Return the rates of right and wrong expectations.

    `truth` integer [n], `probabilities` [n, categories], calibrated, n > 0. A right item is an image with its
    own category as the expected one; a wrong item is an image with one of the others, each of them once.
    """
    own = np.zeros(probabilities.shape, bool)
    own[np.arange(len(truth)), truth] = True
    values = probabilities.astype(np.float64)
    return ExpectationRates(len(truth), _below(values[own]), _above(values[~own]))


def _below(scores: "NDArray[np.float64]") -> ShareSteps:
    """Return (threshold, rate) pairs: a next score is below the threshold with at most that probability.

    If the next score and these are exchangeable, it is below the k-th smallest of n with a probability of at
    most k / (n + 1). Source: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005; Lei,
    G'Sell, Rinaldo, Tibshirani, Wasserman, "Distribution-Free Predictive Inference for Regression", JASA 113,
    2018, lemma 1.
    """
    ranks = _ranks(len(scores))
    thresholds = np.floor(np.sort(scores)[ranks - 1] * _SCALE) / _SCALE
    rates = np.ceil((ranks / (len(scores) + 1) * _SCALE).round(3)) / _SCALE
    return tuple(zip(thresholds.tolist(), rates.tolist(), strict=True))


def _above(scores: "NDArray[np.float64]") -> ShareSteps:
    """Return (threshold, share) pairs: a next score is below the threshold with at least that probability.

    By the same lemma: a threshold just above the k-th largest of n scores is reached with a probability of at
    most k / (n + 1).
    """
    ranks = _ranks(len(scores))[::-1]
    thresholds = (np.floor(np.sort(scores)[len(scores) - ranks] * _SCALE) + 1) / _SCALE
    shares = np.floor(((1 - ranks / (len(scores) + 1)) * _SCALE).round(3)) / _SCALE
    kept = thresholds <= 1  # no probability is above 1
    return tuple(zip(thresholds[kept].tolist(), shares[kept].tolist(), strict=True))


def _ranks(scores: int) -> "NDArray[np.int64]":
    """Return the ranks up to HIGHEST_RATE, ascending, at most MOST_STEPS, evenly spaced by their logarithms.

    Leaving out a rank is safe: the threshold of the next lower rate applies instead.
    """
    most = int(HIGHEST_RATE * (scores + 1))
    if most <= MOST_STEPS:
        return np.arange(1, most + 1)
    return np.unique(np.geomspace(1, most, MOST_STEPS).round().astype(np.int64))
