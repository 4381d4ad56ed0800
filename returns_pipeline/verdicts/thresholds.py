"""Chooses the thresholds of verdicts for a wanted rate of false alarms, and applies them."""

from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.records.verdicts import (
    ExpectationRates,
    LabelSpace,
    Thresholds,
    VerdictKind,
    VerdictThresholds,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The verdicts that a probability decides, in the order of `kind_codes`.
KINDS = (VerdictKind.MISMATCH, VerdictKind.UNSURE, VerdictKind.MATCH)


def choose(rates: ExpectationRates | None, categories: int, wanted: float) -> Thresholds:
    """Return the thresholds with which a share of at most `wanted` right items is a mismatch.

    By the same share, wrong items are a match. `rates` is None if they were not measured. Without them, or if
    they have too few images (fewer than 1 / `wanted` - 1), the thresholds come from the assumption that the
    probabilities of the `categories` are calibrated:

    - P(the true category has less than t) = E[sum of the probabilities below t] <= (categories - 1) t, so
      t = wanted / (categories - 1);
    - a match needs 1 - wanted.

    A network's smallest probabilities are the least calibrated ones. This threshold is low, so that few right
    items are called wrong; it finds fewer wrong items.
    """
    if rates is not None:
        reached = [threshold for threshold, rate in rates.right if rate <= wanted]
        if reached:
            mismatch = reached[-1]
            match = next((threshold for threshold, below in rates.wrong if below >= 1 - wanted), 1.0)
            return Thresholds(mismatch, max(mismatch, match), measured=True)
    mismatch = wanted / max(1, categories - 1)
    return Thresholds(mismatch, max(mismatch, 1 - wanted), measured=False)


def thresholds_of(
    space: LabelSpace,
    label_rates: ExpectationRates | None,
    main_rates: ExpectationRates | None,
    wanted: float,
) -> VerdictThresholds:
    """Return the thresholds of a model with these rates for a wanted share of false alarms, 0 to 1."""
    label = choose(label_rates, len(space.labels), wanted)
    if space.main_categories == space.labels:
        return VerdictThresholds(label, label)
    return VerdictThresholds(label, choose(main_rates, len(set(space.main_categories)), wanted))


def kind_codes(
    probabilities: "NDArray[np.floating]", expected: "NDArray[np.integer]", thresholds: Thresholds
) -> "NDArray[np.int64]":
    """Return for each item the index of its verdict in KINDS: int64 [n].

    `probabilities` [n, categories] are calibrated, and fused if an item has several photos; `expected`
    integer [n] has the expected category of each.

    The probability p of the expected category decides. If wrong expectations are drawn evenly from the other
    categories, the odds of right to wrong are proportional to p / (1 - p). By the lemma of Neyman and Pearson
    ("On the Problem of the Most Efficient Tests of Statistical Hypotheses", 1933) no other function of
    calibrated probabilities then finds more wrong items at the same rate of false alarms. A match also needs
    that no category is more probable.
    """
    chance = np.take_along_axis(probabilities, expected[:, None], axis=1)[:, 0]
    best = chance >= probabilities.max(axis=1)
    codes = np.ones(len(chance), np.int64)
    codes[best & (chance >= thresholds.match)] = 2
    codes[chance < thresholds.mismatch] = 0
    return codes
