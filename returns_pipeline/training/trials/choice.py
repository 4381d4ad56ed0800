"""Chooses a backbone among those that were tried, by the rule of one standard error.

Source: L. Breiman, J. Friedman, R. Olshen, C. Stone, "Classification and Regression Trees", 1984, 3.4.3: of
those whose accuracy is within one standard error of the best, the simplest; here the fastest. All predict the
same photos, so the standard error is that of the difference: of n photos that only one of two labels right,
sqrt(n).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from returns_pipeline.training.trials.backbones import Tried


class Choice(NamedTuple):
    """The backbone to train, and the one that was right most often: often the same."""

    chosen: Tried
    best: Tried


def choose(tried: Sequence[Tried]) -> Choice:
    """Return the choice among at least one backbone; of equally accurate ones, the fastest is the best."""
    best = max(tried, key=lambda each: (each.accuracy, -each.cost))
    return Choice(min((each for each in tried if _is_nearly(each, best)), key=lambda each: each.cost), best)


def _is_nearly(one: Tried, best: Tried) -> bool:
    only_best, only_one = int((best.right & ~one.right).sum()), int((one.right & ~best.right).sum())
    return only_best - only_one <= math.sqrt(only_best + only_one)
