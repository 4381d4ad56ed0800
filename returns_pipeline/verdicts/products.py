"""Whether the photos of a return show the expected product or another one of its kind. Pure functions."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from returns_pipeline.records.verdicts import ProductFacts, Verdict, VerdictKind, VerdictReason

#: Accepted returns from which on they count: with 200, a share of 0.8 % can be told.
LEAST_ACCEPTED = 200
#: Up to this many times the wanted rate of false alarms, what looks more like another product is unsure.
UNSURE_TIMES = 5
_Z = NormalDist().inv_cdf(0.9)
#: Cosines of vectors of int8 that differ by less are equal.
DECIMALS = 4


class Calibration(NamedTuple):
    """The margins of right items: the likeness with their product less that with the most similar other one.

    `altered` are measured on altered pictures of the catalogue, `accepted` on returns that people accepted.
    """

    altered: Sequence[float]
    accepted: Sequence[float] = ()

    @property
    def counted(self) -> int:
        """How many accepted returns count."""
        return len(self.accepted) if len(self.accepted) >= LEAST_ACCEPTED else 0

    def rate(self, margin: float) -> float:
        """Return the share of right items, 0 to 1, whose margin is at most this one, on the safe side.

        It is at most that share with a confidence of 90 %, if right items are like the measured ones. Of both
        sources the higher share counts: altered pictures show what a photo changes at least, and people
        accept what verdicts leave them to accept.
        """
        altered = _rate(self.altered, margin)
        return max(altered, _rate(self.accepted, margin)) if self.counted else altered


def _rate(margins: Sequence[float], margin: float) -> float:
    """Return the upper end of the share of margins that are at most `margin`.

    That of Wilson's one-sided 90 % interval (JASA 22, 1927), and at least (1 + k) / (n + 1), the conformal
    p-value (Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005).
    """
    n, k = len(margins), int((np.asarray(margins) <= margin).sum())
    if not n:
        return 1.0
    share = k / n
    spread = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    upper = (share + _Z**2 / (2 * n) + spread) / (1 + _Z**2 / n)
    return min(1.0, max(upper, (1 + k) / (n + 1)))


def margin_of(likeness: float, other_likeness: float) -> float:
    """Return how much more a photo looks like the expected product than like another one, -2 to 2."""
    return round(likeness - other_likeness, DECIMALS)


def judged_by_product(verdict: Verdict | None, facts: ProductFacts | None, wanted: float) -> Verdict | None:
    """Return the verdict on a return whose photos were compared with the expected product.

    `verdict` is that of the category. Only a match or an unsure one can change, and only if a photo looks
    more like another product. It is a mismatch if at most a share `wanted` of right items looks so, and
    unsure up to five times this share.
    """
    if verdict is None or facts is None or verdict.kind not in {VerdictKind.MATCH, VerdictKind.UNSURE}:
        return verdict
    verdict = verdict._replace(product=facts)
    if margin_of(facts.likeness, facts.other_likeness) >= 0 or facts.rate > UNSURE_TIMES * wanted:
        return verdict
    is_other = facts.rate <= wanted
    if not is_other and verdict.kind is VerdictKind.UNSURE:
        return verdict
    return verdict._replace(
        kind=VerdictKind.MISMATCH if is_other else VerdictKind.UNSURE,
        reason=VerdictReason.OTHER_PRODUCT,
        sureness=1 - facts.rate,
        photos=1,
    )
