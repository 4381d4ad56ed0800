"""Whether a night is unusual: its mix of categories, or its share of unsure predictions. Pure arithmetic.

A night is compared with the last nights of the same intake, at least LEAST_NIGHTS of them. A value is unusual
if it passes both tests:

- It lies outside what the earlier nights had: its modified z-score, 0.6745 (x - median) / MAD, is above 3.5
  (B. Iglewicz and D. Hoaglin, How to Detect and Handle Outliers, ASQC 1993). MAD is the median of the
  absolute deviations from the median. Both medians ignore single nights that were unusual themselves.
- It is more than chance: a night with few photos differs from the usual mix by its small number alone.

The mix is judged by the total variation distance to the photos of all earlier nights together, half the sum
of the absolute differences of the shares: the share of photos that would have to change their category. The
distances of earlier nights leave the night itself out of its comparison. With n photos, chance alone gives an
expected distance of at most half the sum of sqrt(2 p (1 - p) / (pi n)) over the categories, and exceeds that
by t with a probability of at most exp(-2 n t^2) (C. McDiarmid, On the method of bounded differences, 1989).
For a share, the same bound on either side is W. Hoeffding's (1963).
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

#: How many earlier nights are compared, and how many there must be.
MOST_NIGHTS, LEAST_NIGHTS = 30, 10
_MOST_SCORE = 3.5
_SCORE_OF_MAD = 0.6745
#: Smaller deviations of the usual count as this: nights that were all alike make no small change unusual.
_LEAST_MAD = 0.005
#: Smaller differences are never unusual.
_LEAST_DIFFERENCE = 0.05
#: The probability with which chance alone may pass the second test.
_CHANCE = 1e-4
_MOST_NAMED = 3


class Night(NamedTuple):
    """The images of a night by final label, how many were classified, and how many of those were unsure."""

    labels: Mapping[str, int]
    classified: int
    unsure: int | None


class Unusual(NamedTuple):
    """What is unusual about a night; shares are from 0 to 1, None for what is as usual.

    `distance` is the total variation distance of its mix, `changed` names the categories that differ most,
    with their share and their usual share. `unsure` is its share of unsure predictions and the usual one.
    """

    distance: float | None
    changed: tuple[tuple[str, float, float], ...]
    unsure: tuple[float, float] | None


def judge(night: Night, earlier: Sequence[Night]) -> Unusual | None:
    """Return what is unusual about a night; None if nothing is, or if there are too few earlier nights."""
    distance, changed = _mix(night, [each for each in earlier if each.labels])
    unsure = _unsure(night, earlier)
    return Unusual(distance, changed, unsure) if distance is not None or unsure is not None else None


def distance_of(first: Mapping[str, int], second: Mapping[str, int]) -> float:
    """Return the total variation distance of two mixes, counts by label: 0 for equal ones, at most 1."""
    one, other = sum(first.values()), sum(second.values())
    return sum(abs(first.get(each, 0) / one - second.get(each, 0) / other) for each in {*first, *second}) / 2


def _mix(night: Night, earlier: Sequence[Night]) -> tuple[float | None, tuple[tuple[str, float, float], ...]]:
    number = sum(night.labels.values())
    if len(earlier) < LEAST_NIGHTS or not number:
        return None, ()
    together = Counter[str]()
    for each in earlier:
        together.update(each.labels)
    distances = [distance_of(each.labels, together - Counter(each.labels)) for each in earlier]
    found = distance_of(night.labels, together)
    total = together.total()
    usual = {label: together[label] / total for label in {*together, *night.labels}}
    expected = sum(math.sqrt(2 * p * (1 - p) / (math.pi * number)) for p in usual.values()) / 2
    by_chance = expected + math.sqrt(math.log(1 / _CHANCE) / (2 * number))
    if found <= max(by_chance, _LEAST_DIFFERENCE) or _score(found, distances) <= _MOST_SCORE:
        return None, ()
    shares = [(label, night.labels.get(label, 0) / number, p) for label, p in usual.items()]
    shares.sort(key=lambda each: (-abs(each[1] - each[2]), each[0]))
    return found, tuple(shares[:_MOST_NAMED])


def _unsure(night: Night, earlier: Sequence[Night]) -> tuple[float, float] | None:
    shares = [
        each.unsure / each.classified for each in earlier if each.unsure is not None and each.classified
    ]
    if len(shares) < LEAST_NIGHTS or night.unsure is None or not night.classified:
        return None
    found, usual = night.unsure / night.classified, median(shares)
    by_chance = math.sqrt(math.log(2 / _CHANCE) / (2 * night.classified))
    is_more = abs(found - usual) > max(by_chance, _LEAST_DIFFERENCE)
    return (found, usual) if is_more and abs(_score(found, shares)) > _MOST_SCORE else None


def _score(value: float, earlier: Sequence[float]) -> float:
    """Return the modified z-score of a value."""
    middle = median(earlier)
    spread = max(median(abs(each - middle) for each in earlier), _LEAST_MAD)
    return _SCORE_OF_MAD * (value - middle) / spread
