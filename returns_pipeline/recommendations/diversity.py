"""Chooses products that are good and unlike each other."""

from collections.abc import Callable, Sequence

#: Share of the score; the rest is how much a product differs from those that are chosen already.
BALANCE = 0.8


def diverse(scores: Sequence[float], similarity: Callable[[int, int], float], limit: int) -> list[int]:
    """Return places of the best products, in order, by maximal marginal relevance.

    `scores` are in descending order. The next one has the largest BALANCE * score - (1 - BALANCE) * its
    largest similarity to a chosen one (Carbonell and Goldstein, SIGIR 1998). Of equal ones the first counts.
    """
    remaining = list(range(len(scores)))
    nearest = [0.0] * len(scores)
    chosen: list[int] = []
    while remaining and len(chosen) < limit:
        best = max(remaining, key=lambda at: (BALANCE * scores[at] - (1 - BALANCE) * nearest[at], -at))
        remaining.remove(best)
        chosen.append(best)
        for at in remaining:
            nearest[at] = max(nearest[at], similarity(best, at))
    return chosen
