"""Compares two models on the same images, and tests whether their difference is significant."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: A difference is significant below this p-value; confidence intervals are those of 1 - SIGNIFICANT, 95 %.
SIGNIFICANT = 0.05
_Z = NormalDist().inv_cdf(1 - SIGNIFICANT / 2)


@dataclass(frozen=True, slots=True)
class LabelDifference:
    """The shares of one label's `images` that each model predicts correctly."""

    label: str
    images: int
    first: float
    second: float

    @property
    def difference(self) -> float:
        """Second minus first."""
        return self.second - self.first


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same `n` images, shares in 0..1.

    `difference` is the second's accuracy minus the first's, `low` to `high` its 95 % confidence interval.
    `only_first` and `only_second` count the images that only that model predicts correctly. `p` is the
    probability of a difference at least as large between equally good models. `labels` has the largest
    differences first.
    """

    n: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    only_first: int
    only_second: int
    p: float
    labels: "Sequence[LabelDifference]"

    def conclusion(self, first: str, second: str) -> str:
        """Return the result as a sentence; `first` and `second` are the names of the models."""
        points = f"{100 * self.difference:+.1f} points ({100 * self.low:.1f} to {100 * self.high:.1f})"
        chance = f"p = {self.p:.4f}" if self.p >= 0.0001 else "p < 0.0001"
        if self.p >= SIGNIFICANT:
            return f"{first} and {second} do not differ significantly: {points}, {chance}."
        return f"{second} is {'better' if self.difference > 0 else 'worse'} than {first}: {points}, {chance}."


def compare(
    truth: "NDArray[np.integer]",
    first: "NDArray[np.bool_]",
    second: "NDArray[np.bool_]",
    labels: "Sequence[str]",
) -> Comparison:
    """Compare two models. `truth` integer [n]; `first`, `second` bool [n]: correct predictions; n > 0."""
    both = int((first & second).sum())
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    neither = len(truth) - both - only_first - only_second
    low, high = paired_interval(both, only_second, only_first, neither)
    images = np.bincount(truth, minlength=len(labels))
    shares = [
        np.bincount(truth, correct, minlength=len(labels)) / np.maximum(images, 1)
        for correct in (first, second)
    ]
    rows = [
        LabelDifference(label, int(n), float(a), float(b))
        for label, n, a, b in zip(labels, images, *shares, strict=True)
        if n
    ]
    return Comparison(
        n=len(truth),
        first=float(first.mean()),
        second=float(second.mean()),
        difference=(only_second - only_first) / len(truth),
        low=low,
        high=high,
        only_first=only_first,
        only_second=only_second,
        p=mcnemar(only_first, only_second),
        labels=sorted(rows, key=lambda row: -abs(row.difference)),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test of equal accuracy on the same images.

    Source: McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12 (1947); the exact form: twice the tail of the binomial distribution with
    1/2.
    """
    disagreeing = only_first + only_second
    term = total = 1
    for count in range(1, min(only_first, only_second) + 1):
        term = term * (disagreeing - count + 1) // count
        total += term
    return min(1.0, 2 * total / (1 << disagreeing))


def paired_interval(both: int, only_second: int, only_first: int, neither: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of (only_second - only_first) / n, a difference of paired shares.

    Source: Newcombe, "Improved confidence intervals for the difference between binomial proportions based on
    paired data", Statistics in Medicine 17 (1998), method 10: from the Wilson intervals of both shares and
    their correlation, with Newcombe's continuity correction.
    """
    n = both + only_second + only_first + neither
    second, first = (both + only_second) / n, (both + only_first) / n
    (low_second, high_second), (low_first, high_first) = wilson(second, n), wilson(first, n)
    rows, columns = (
        (both + only_second) * (only_first + neither),
        (both + only_first) * (only_second + neither),
    )
    excess = float(both * neither - only_second * only_first)
    if excess > 0:
        excess = max(excess - n / 2, 0.0)
    correlation = excess / math.sqrt(rows * columns) if rows and columns else 0.0

    def margin(a: float, b: float) -> float:
        return math.sqrt(max(a * a - 2 * correlation * a * b + b * b, 0.0))

    difference = second - first
    return (
        difference - margin(second - low_second, high_first - first),
        difference + margin(high_second - second, first - low_first),
    )


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share of `n` images. Source: Wilson, JASA 22 (1927)."""
    centre = share + _Z**2 / (2 * n)
    spread = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return (centre - spread) / (1 + _Z**2 / n), (centre + spread) / (1 + _Z**2 / n)
