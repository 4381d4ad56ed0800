"""Whether the last nights are unlike the nights before them. Pure arithmetic.

A night is described by mixes: how many of its photos are in each bin of a property. The bins of a property
without an order, like the category, are tested one by one. The bins of one with an order, like the
brightness, are tested at each of their bounds, by the share of photos below it. A share is compared after the
transformation of F. Anscombe (Biometrika 35, 1948), y = asin(sqrt((x + 3/8) / (n + 3/4))), whose variance by
chance alone is 1 / (4 n + 2).

Nights differ by more than chance: by weekday, by season, by what is in fashion. So the variance between
nights is estimated from the reference: it is the variance of the reference's y beyond that by chance, at
least 0. The deviation of a night in units of its standard deviation is Student's t, with one degree of
freedom less than the reference has nights, if nights are like each other. The last night is tested, and the
mean of the last two, so that a small change is found in the second one.

**False alarms.** All tests of a night share ALARMS, the probability of an alarm in a night that is like the
others: the probabilities of all tests together bound that of any (C. Bonferroni, 1936), whatever the tests
have to do with each other. So 200 nights have 0.4 expected false alarms at most. The share must also differ
by at least LEAST, and lie outside of what every night of the reference had, so that nights whose deviations
are not Student's t hardly alarm either.

**A change that stays** is told once. Nights whose property was found to be different are left out of its
reference, until ACCEPTED nights in a row were: then these are the usual ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from returns_pipeline.quality.distributions import t_tails
from returns_pipeline.records.mixes import Change

Floats = NDArray[np.floating[Any]]

#: The probability of an alarm in a night that is like the others, for all of its tests together.
ALARMS = 0.002
#: How many nights the reference has: at most, and at least.
MOST_NIGHTS, LEAST_NIGHTS = 60, 14
#: After as many nights in a row that are different, these are the usual ones.
ACCEPTED = 14
#: Smaller differences of a share are never told.
LEAST = 0.02

#: Photos by bin: the name of a bin, or the number of one with an order.
Mix = Mapping[str, int]


class Night(NamedTuple):
    """Photos of a night by property and bin, and the properties that were found to be different."""

    mixes: Mapping[str, Mix]
    different: frozenset[str] = frozenset()


def changes(night: Night, before: Sequence[Night], ordered: Mapping[str, int]) -> list[Change]:
    """Return what is unlike the nights before, which are newest first: one change of each property.

    `ordered` has the number of bins of each property with an order. A property that fewer than LEAST_NIGHTS
    nights have is not judged.
    """
    judged = []
    for name, mix in night.mixes.items():
        known = [each for each in before if any(each.mixes.get(name, {}).values())][:MOST_NIGHTS]
        reference, is_new = _reference(known, name)
        if any(mix.values()) and len(reference) >= LEAST_NIGHTS:
            is_before = reference[0] is known[0]
            shares = _shares([mix, *(each.mixes[name] for each in reference)], ordered.get(name))
            judged.append((name, is_new, is_before, shares))
    tests = sum(len(shares.bins) for *_, shares in judged)
    level = ALARMS / (2 * max(1, tests))
    found = (_change(name, shares, level, is_new, is_before) for name, is_new, is_before, shares in judged)
    return sorted((each for each in found if each), key=lambda change: change.chance)


def _reference(known: Sequence[Night], name: str) -> tuple[Sequence[Night], bool]:
    """Return the nights that a night is compared with, and whether a change would be a new one."""
    in_a_row = next((place for place, each in enumerate(known) if name not in each.different), len(known))
    if in_a_row >= ACCEPTED:
        return known[:in_a_row], True
    return [each for each in known if name not in each.different], not in_a_row


class _Shares(NamedTuple):
    """Shares [nights, bins], their transformation, and the variance of that by chance alone [nights, 1]."""

    bins: list[str]
    share: Floats
    y: Floats
    variance: Floats


def _shares(mixes: Sequence[Mix], bins: int | None) -> _Shares:
    """Return the share of each bin; with a number of bins in an order, that below each bound."""
    names = sorted({each for mix in mixes for each in mix}) if bins is None else [*map(str, range(bins))]
    counts = np.array([[mix.get(each, 0) for each in names] for mix in mixes], float)
    total = counts.sum(axis=1, keepdims=True)
    if bins is not None:
        names, counts = names[1:], counts.cumsum(axis=1)[:, :-1]
    y = np.arcsin(np.sqrt((counts + 0.375) / (total + 0.75)))
    return _Shares(names, counts / total, y, 1 / (4 * total + 2))


def _change(name: str, shares: _Shares, level: float, is_new: bool, is_before: bool) -> Change | None:
    """Test the first night against the others, and the first two if the second one is the night before."""
    found = []
    for count in (1, 2) if is_before and len(shares.y) > LEAST_NIGHTS + 1 else (1,):
        share, usual = shares.share[:count].mean(axis=0), shares.share[count:]
        difference = share - usual.mean(axis=0)
        is_outside = (share < usual.min(axis=0)) | (share > usual.max(axis=0))
        t = _deviations(shares, count)
        places = np.flatnonzero(is_outside & (np.abs(difference) >= LEAST))
        for place, chance in zip(places, t_tails(t[places], len(usual) - 1).tolist(), strict=True):
            if chance < level:
                mine, middle = float(shares.share[0, place]), float(usual[:, place].mean())
                found.append(Change(name, shares.bins[place], mine, middle, chance, is_new))
    # Of several bins or bounds, the one where most photos differ; what has come says more than what is gone.
    return max(found, key=lambda each: (each.share > each.usual, abs(each.share - each.usual)), default=None)


def _deviations(shares: _Shares, count: int) -> Floats:
    """Return by how many standard deviations the mean of the first `count` nights differs from the others."""
    usual, by_chance = shares.y[count:], shares.variance[count:].mean()
    of_nights = np.maximum(0, usual.var(axis=0, ddof=1) - by_chance)
    variance = of_nights / count + shares.variance[:count].sum() / count**2
    # Of the mean of the usual nights too.
    variance = variance + (of_nights + by_chance) / len(usual)
    found: Floats = (shares.y[:count].mean(axis=0) - usual.mean(axis=0)) / np.sqrt(variance)
    return found
