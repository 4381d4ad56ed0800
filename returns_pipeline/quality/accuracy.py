"""How often a model is right, estimated from reviews that were not chosen evenly. Pure arithmetic.

**Of the sure photos** a sample is reviewed: each was drawn with a known probability. A reviewed one counts
for as many photos as the inverse of it says (D. Horvitz and D. Thompson, JASA 47, 1952). The weights are
divided by their sum (J. Hájek, in: Foundations of Statistical Inference, 1971) in each category, and
multiplied by the number of its photos, which is known; so a category that is reviewed first counts no more.
Categories with few reviewed photos are taken together. The interval is that of Jeffreys for a sample of the
effective size (sum w)^2 / sum w^2 (L. Kish, Survey Sampling, 1965), which C. Franco, R. Little, T. Louis and
E. Slud (Journal of Survey Statistics and Methodology 7, 2019) found good for surveys with rare errors:
right ~ Beta(n p + 1/2, n (1 - p) + 1/2).

**Unsure photos** all wait for a review, the least sure first. So those that were reviewed are not like the
others, and each band of the probability is estimated on its own: right ~ Beta(s q + x, s (1 - q) + n - x) for
x of n that were right, where q is the mean probability of the band, which counts as much as s photos. Photos
that are reviewed for another reason than their probability are a band of their own, with Jeffreys' q = 1/2
and s = 1.

**Only photos without a review are uncertain**: their number that is right is beta-binomial (W. Ericson,
Journal of the Royal Statistical Society B 31, 1969). The sum over all parts is taken as a beta distribution
with the same mean and variance.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from returns_pipeline.quality.distributions import Floats, beta_quantile
from returns_pipeline.records.accuracy import WANTED, Estimate

#: The probability with which an interval misses the truth on either side.
_TAIL = 0.025
_NORMAL = 1.96
#: Fewer reviewed photos of a category are no sample of their own.
_LEAST = 5
#: As how many reviewed photos the probabilities of unsure photos count.
_STRENGTH = 8.0


class Cell(NamedTuple):
    """Classified photos that are estimated together: `stratum` is a category or a band of the probability.

    `probability` is the sum of their probabilities, None if these say nothing. Of `reviewed` photos the model
    was `right` for some. `weight`, `right_weight` and `square_weight` are sums over the reviewed ones: of the
    inverse of the probability with which they were drawn, of the same for those that are right, and of its
    square.
    """

    is_sure: bool
    stratum: str
    photos: int
    probability: float | None
    reviewed: int = 0
    right: int = 0
    weight: float = 0.0
    right_weight: float = 0.0
    square_weight: float = 0.0


class _Part(NamedTuple):
    """Photos without a review of a stratum: how many, and mean and variance of how many of them are right."""

    unseen: int
    mean: float
    variance: float


def estimate(cells: Iterable[Cell]) -> Estimate | None:
    """Return the estimate for the photos of all cells; None if there are none."""
    (found,) = estimates([cells])
    return found


def estimates(groups: Iterable[Iterable[Cell]]) -> list[Estimate | None]:
    """Return the estimate for the photos of each group of cells; None for one without photos."""
    known = [_Known.of([cell for cell in cells if cell.photos]) for cells in groups]
    totals = np.array([np.sum(each.parts, axis=0) for each in known], float).reshape(-1, 3)
    low, high = _bounds(*totals.T)
    return [
        each.estimate(*bounds) if each.photos else None
        for each, *bounds in zip(known, low.tolist(), high.tolist(), strict=True)
    ]


class _Known(NamedTuple):
    """A group: its photos, how many were reviewed, how many of these are right, and what it consists of."""

    photos: int
    reviewed: int
    right: int
    sample: "_Sample"
    doubts: list[_Part]

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> "_Known":
        """Add up the cells."""
        return cls(
            sum(cell.photos for cell in cells),
            sum(cell.reviewed for cell in cells),
            sum(cell.right for cell in cells),
            _Sample.of([cell for cell in cells if cell.is_sure]),
            [_doubt(cell) for cell in _merged(cell for cell in cells if not cell.is_sure)],
        )

    @property
    def parts(self) -> list[_Part]:
        """The photos without a review."""
        return [*self.doubts, self.sample.part()]

    def estimate(self, low: float, high: float) -> Estimate:
        """Return the estimate; from `low` to `high` of the photos without a review are right."""
        sample, photos = self.sample, self.photos
        of_doubts = sum(part.mean for part in self.doubts)
        right = (self.right - sample.right + of_doubts + sample.total()) / photos
        bounds = (self.right + low) / photos, (self.right + high) / photos
        is_unknown = bool(sample.photos) and not sample.reviewed
        is_wanted = bounds[1] - bounds[0] <= 2 * WANTED and not is_unknown
        more = 0 if is_wanted else _more(sample, self.doubts, photos)
        share = None if is_unknown else min(1.0, max(0.0, right))
        return Estimate(photos, self.reviewed, share, *bounds, more)


class _Sample(NamedTuple):
    """The sure photos: how many, those that were reviewed, and what the weights say.

    `size` is the effective size of the sample, `share` the share that is right, `probability` the mean of
    what the model says.
    """

    photos: int
    reviewed: int
    right: int
    size: float
    share: float
    probability: float

    @classmethod
    def of(cls, sure: Sequence[Cell]) -> "_Sample":
        """Weigh the reviewed photos of all categories."""
        photos, reviewed = sum(cell.photos for cell in sure), sum(cell.reviewed for cell in sure)
        probability = sum(cell.probability or 0.0 for cell in sure) / max(1, photos)
        if not reviewed:
            return cls(photos, 0, 0, 0.0, 0.0, probability)
        weight = right = square = 0.0
        for cell in _merged(_with_few_together(sure)):
            if cell.reviewed:
                factor = cell.photos / cell.weight
                weight += factor * cell.weight
                right += factor * cell.right_weight
                square += factor**2 * cell.square_weight
        share = min(1.0, right / weight)
        known = sum(cell.right for cell in sure)
        return cls(photos, reviewed, known, min(weight**2 / square, reviewed), share, probability)

    def total(self) -> float:
        """Return how many of the photos are right."""
        return self.photos * self.share

    def part(self) -> _Part:
        """Return the photos without a review."""
        unseen = self.photos - self.reviewed
        if not unseen:
            return _Part(0, 0.0, 0.0)
        alpha, beta = self.size * self.share + 0.5, self.size * (1 - self.share) + 0.5
        mean = self.photos * alpha / (alpha + beta) - self.right
        return _Part(unseen, min(max(mean, 0.0), unseen), _beta_binomial(unseen, alpha, beta))

    def variance_after(self, more: int) -> float:
        """Return the variance after `more` reviews; the model's own probability is one of the reviews."""
        size = self.size + 1 + more
        share = (self.size * self.share + self.probability) / (self.size + 1)
        return _beta_binomial(self.photos - self.reviewed - more, size * share, size * (1 - share))


def _with_few_together(cells: Iterable[Cell]) -> list[Cell]:
    """Return the cells of sure photos; those with few reviewed photos belong to one stratum."""
    return [cell if cell.reviewed >= _LEAST else cell._replace(stratum="") for cell in _merged(cells)]


def _merged(cells: Iterable[Cell]) -> list[Cell]:
    """Return one cell for each stratum."""
    found: dict[tuple[bool, str], Cell] = {}
    for cell in cells:
        key = cell.is_sure, cell.stratum
        found[key] = _together(found[key], cell) if key in found else cell
    return list(found.values())


def _together(one: Cell, other: Cell) -> Cell:
    return Cell(
        one.is_sure,
        one.stratum,
        one.photos + other.photos,
        None
        if None in (one.probability, other.probability)
        else (one.probability or 0.0) + (other.probability or 0.0),
        one.reviewed + other.reviewed,
        one.right + other.right,
        one.weight + other.weight,
        one.right_weight + other.right_weight,
        one.square_weight + other.square_weight,
    )


def _doubt(cell: Cell) -> _Part:
    unseen = cell.photos - cell.reviewed
    if not unseen:
        return _Part(0, 0.0, 0.0)
    strength, probability = _STRENGTH, 0.5
    if cell.probability is None:
        strength = 1.0
    else:
        probability = min(max(cell.probability / cell.photos, 0.01), 0.99)
    alpha = strength * probability + cell.right
    beta = strength * (1 - probability) + cell.reviewed - cell.right
    return _Part(unseen, unseen * alpha / (alpha + beta), _beta_binomial(unseen, alpha, beta))


def _beta_binomial(number: int, alpha: float, beta: float) -> float:
    """Return the variance of how many of `number` photos are right if the share is Beta(alpha, beta)."""
    both = alpha + beta
    return number * alpha * beta * (both + number) / (both**2 * (both + 1)) if number > 0 else 0.0


def _bounds(unseen: Floats, mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Return the ends of the 95 % interval of how many of the photos without a review are right.

    Whole numbers, float64 [n] of n groups.
    """
    share = np.divide(mean, unseen, out=np.zeros_like(mean), where=unseen > 0)
    low, high = np.rint(mean), np.rint(mean)
    open_ = np.flatnonzero((unseen > 0) & (variance > 0) & (share > 0) & (share < 1))
    unseen, share, variance = unseen[open_], share[open_], variance[open_]
    both = np.maximum(share * (1 - share) * unseen**2 / variance - 1, 1e-3)
    for end, tail in ((low, _TAIL), (high, 1 - _TAIL)):
        end[open_] = np.rint(beta_quantile(tail, share * both, (1 - share) * both) * unseen)
    return low, high


def _more(sample: _Sample, doubts: Sequence[_Part], photos: int) -> int:
    """Return how many more reviews make the interval narrow enough, at least one."""
    allowed = (WANTED * photos / _NORMAL) ** 2
    of_doubts = sum(part.variance for part in doubts)
    waiting = 0
    if of_doubts > allowed / 2:
        waiting, of_doubts = sum(part.unseen for part in doubts), 0.0
    low, high = 0, sample.photos - sample.reviewed
    while low < high:
        middle = (low + high) // 2
        if sample.variance_after(middle) + of_doubts <= allowed:
            high = middle
        else:
            low = middle + 1
    return max(1, waiting + math.ceil(low))
