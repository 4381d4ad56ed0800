"""The beta distribution and Student's t, of which the standard library has neither.

Source: NIST Digital Library of Mathematical Functions, 8.17; its continued fraction 8.17.22 is evaluated by
W. Lentz' method (W. Press et al., Numerical Recipes, 3rd edition, 6.4).
"""

import math

_TINY = 1e-300
_EPSILON = 1e-13
_MOST_TERMS = 10_000
_MOST_STEPS = 200


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the probability that a variable of Beta(a, b) is at most `x`."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    factor = math.exp(a * math.log(x) + b * math.log1p(-x) - _log_beta(a, b))
    # The fraction converges quickly below the mean; above it, the other side is computed.
    if x < (a + 1) / (a + b + 2):
        return factor * _fraction(x, a, b) / a
    return 1 - factor * _fraction(1 - x, b, a) / b


def beta_quantile(share: float, a: float, b: float) -> float:
    """Return the value that a variable of Beta(a, b) does not exceed with the probability `share`."""
    low, high, x = 0.0, 1.0, a / (a + b)
    for _ in range(_MOST_STEPS):
        error = beta_cdf(x, a, b) - share
        low, high = (x, high) if error < 0 else (low, x)
        # Newton's step; without a finite density, or if it leaves the bounds, half of the way between them.
        density = math.exp(min(700.0, _log_density(x, a, b)))
        found = x - error / density if density > _TINY else -1.0
        if not low < found < high:
            found = (low + high) / 2
        if abs(found - x) <= 1e-12 or high - low <= 1e-15:
            return found
        x = found
    return x


def t_tails(t: float, freedom: float) -> float:
    """Return the probability that Student's t is further from 0 than `t`, on either side."""
    return beta_cdf(freedom / (freedom + t * t), freedom / 2, 0.5)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_density(x: float, a: float, b: float) -> float:
    if x <= 0 or x >= 1:
        return -math.inf
    return (a - 1) * math.log(x) + (b - 1) * math.log1p(-x) - _log_beta(a, b)


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, _MOST_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            found *= c * d
        if abs(c * d - 1) < _EPSILON:
            break
    return found


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
