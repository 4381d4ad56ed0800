"""The beta distribution and Student's t, which neither the standard library nor NumPy has. For arrays.

Source: NIST Digital Library of Mathematical Functions, 8.17; its continued fraction 8.17.22 is evaluated by
W. Lentz' method (W. Press et al., Numerical Recipes, 3rd edition, 6.4).
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_TINY = 1e-300
_EPSILON = 1e-13
_MOST_TERMS = 10_000
_MOST_STEPS = 200


def beta_cdf(x: ArrayLike, a: ArrayLike, b: ArrayLike) -> Floats:
    """Return the probability that a variable of Beta(a, b) is at most `x`: float64 of the common shape."""
    x, a, b = np.broadcast_arrays(*(np.asarray(each, float) for each in (x, a, b)))
    return _cdf(x.ravel(), a.ravel(), b.ravel(), _log_beta(a.ravel(), b.ravel())).reshape(x.shape)


def beta_quantile(share: float, a: ArrayLike, b: ArrayLike) -> Floats:
    """Return the value that a variable of Beta(a, b) does not exceed with the probability `share`, 0 to 1.

    `a` and `b` are above 0; float64 of their common shape.
    """
    a, b = np.broadcast_arrays(np.asarray(a, float), np.asarray(b, float))
    shape = a.shape
    a, b = a.ravel(), b.ravel()
    log_beta = _log_beta(a, b)
    low, high = np.zeros_like(a), np.ones_like(a)
    # Nearly a normal distribution on the scale of log(x / (1 - x)).
    z = NormalDist().inv_cdf(share)
    x: Floats = 1 / (1 + np.exp(np.clip(np.log(b / a) - z * np.sqrt(1 / a + 1 / b), -700, 700)))
    left = np.arange(len(a))
    for _ in range(_MOST_STEPS):
        here, p, q = x[left], a[left], b[left]
        error = _cdf(here, p, q, log_beta[left]) - share
        low[left] = np.where(error < 0, here, low[left])
        high[left] = np.where(error < 0, high[left], here)
        found = here - error / _density(here, p, q, log_beta[left])
        # If Newton's step leaves the bounds, half of the way between them.
        is_outside = ~((low[left] < found) & (found < high[left]))
        found[is_outside] = ((low[left] + high[left]) / 2)[is_outside]
        x[left] = found
        left = left[(np.abs(found - here) > 1e-12) & (high[left] - low[left] > 1e-15)]
        if not len(left):
            break
    return x.reshape(shape)


def t_tails(t: ArrayLike, freedom: ArrayLike) -> Floats:
    """Return the probability that Student's t is further from 0 than `t`, on either side."""
    t, freedom = np.asarray(t, float), np.asarray(freedom, float)
    return beta_cdf(freedom / (freedom + t * t), freedom / 2, 0.5)


def _cdf(x: Floats, a: Floats, b: Floats, log_beta: Floats) -> Floats:
    found = np.where(x >= 1, 1.0, 0.0)
    inside = np.flatnonzero((x > 0) & (x < 1))
    x, a, b = x[inside], a[inside], b[inside]
    factor = np.exp(a * np.log(x) + b * np.log1p(-x) - log_beta[inside])
    # The fraction converges quickly below the mean; above it, the other side is computed.
    is_low = x < (a + 1) / (a + b + 2)
    y, p, q = np.where(is_low, x, 1 - x), np.where(is_low, a, b), np.where(is_low, b, a)
    share = factor * _fraction(y, p, q) / p
    found[inside] = np.where(is_low, share, 1 - share)
    return found


def _density(x: Floats, a: Floats, b: Floats, log_beta: Floats) -> Floats:
    """Return the density at `x`, at least _TINY."""
    inner = np.clip(x, _TINY, 1 - 1e-16)
    logarithm = (a - 1) * np.log(inner) + (b - 1) * np.log1p(-inner) - log_beta
    density: Floats = np.exp(np.clip(logarithm, math.log(_TINY), 700))
    return density


def _log_beta(a: Floats, b: Floats) -> Floats:
    pairs = zip(a.tolist(), b.tolist(), strict=True)
    return np.array([math.lgamma(p) + math.lgamma(q) - math.lgamma(p + q) for p, q in pairs], float)


def _fraction(x: Floats, a: Floats, b: Floats) -> Floats:
    c, d = np.ones_like(x), 1 / _not_zero(1 - (a + b) * x / (a + 1))
    found = d.copy()
    for m in range(1, _MOST_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            found *= c * d
        if not len(x) or np.abs(c * d - 1).max() < _EPSILON:
            break
    return found


def _not_zero(values: Floats) -> Floats:
    return np.where(np.abs(values) > _TINY, values, _TINY)
