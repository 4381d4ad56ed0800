"""How good recommendations are, measured on events: the last product that each customer kept is left out."""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from returns_pipeline.recommendations.neighbours import neighbours_of
from returns_pipeline.recommendations.taste import together
from returns_pipeline.records.recommendations import Event, EventKind

#: Products that a customer is recommended.
BEST = 10
_SEED = 15

#: Returns the products for a customer who has kept some, in order.
Recommender = Callable[[str, Sequence[str]], Sequence[str]]


class Quality(NamedTuple):
    """What a recommender reaches.

    `recall` is the share of customers whose last product is among the BEST; `ndcg` is the mean of
    1 / log2(1 + its place) (Jarvelin and Kekalainen, TOIS 2002, with one relevant product); `coverage` is
    the share of all products that any customer is recommended.
    """

    recall: float
    ndcg: float
    coverage: float


class Evaluation(NamedTuple):
    """The qualities of the recommenders by name, and what they were measured on."""

    customers: int
    products: int
    events: int
    qualities: Mapping[str, Quality]


class _Split(NamedTuple):
    """What customers kept, the oldest first, and the product that was left out of each."""

    kept: Mapping[str, Sequence[str]]
    last: Mapping[str, str]
    products: Sequence[str]


def evaluate(events: Iterable[Event]) -> Evaluation:
    """Compare what customers kept together with what is popular and with chance.

    None of them recommends a product that a customer already kept or returned. Customers who kept one
    product only are part of the others' events, but are not measured. Raises ConfigFault without implicit.
    """
    given = list(events)
    split = _split(given)
    refused: dict[str, set[str]] = defaultdict(set)
    for each in given:
        if each.kind is EventKind.RETURNED:
            refused[each.customer].add(each.product)
    neighbours = neighbours_of((who, what) for who, kept in split.kept.items() for what in kept)
    counts = Counter(what for kept in split.kept.values() for what in kept)
    popular = sorted(split.products, key=lambda product: (-counts[product], product))

    def by_taste(_: str, kept: Sequence[str]) -> Sequence[str]:
        scores = together(kept, neighbours)
        best = sorted(scores, key=lambda product: (-scores[product], product))
        return [*best, *(product for product in popular if product not in scores)]

    def by_chance(customer: str, _: Sequence[str]) -> Sequence[str]:
        chance = random.Random(f"{_SEED} {customer}")  # noqa: S311 - a sample
        return chance.sample(split.products, len(split.products))

    recommenders: dict[str, Recommender] = {
        "taste": by_taste,
        "popularity": lambda _customer, _kept: popular,
        "random": by_chance,
    }
    qualities = {name: _quality(split, refused, each) for name, each in recommenders.items()}
    return Evaluation(len(split.last), len(split.products), len(given), qualities)


def _split(events: Iterable[Event]) -> _Split:
    ordered = sorted(events, key=lambda each: (each.at, each.product, each.kind))
    returned = {(each.customer, each.product) for each in ordered if each.kind is EventKind.RETURNED}
    of_customer: dict[str, dict[str, None]] = defaultdict(dict)
    for each in ordered:
        if each.kind is EventKind.KEPT and (each.customer, each.product) not in returned:
            of_customer[each.customer].setdefault(each.product)
    kept = {customer: list(products) for customer, products in sorted(of_customer.items())}
    last = {customer: products.pop() for customer, products in kept.items() if len(products) > 1}
    known = {what for products in kept.values() for what in products} | set(last.values())
    return _Split(kept, last, sorted(known))


def _quality(split: _Split, refused: Mapping[str, set[str]], recommend: Recommender) -> Quality:
    found = gain = 0.0
    shown: set[str] = set()
    for customer, wanted in split.last.items():
        kept = split.kept[customer]
        without = {*kept, *refused.get(customer, ())}
        best: list[str] = []
        for product in recommend(customer, kept):
            if product not in without:
                best.append(product)
            if len(best) == BEST:
                break
        shown.update(best)
        if wanted in best:
            found += 1
            gain += 1 / math.log2(2 + best.index(wanted))
    total = len(split.last)
    if not total:
        return Quality(0.0, 0.0, 0.0)
    return Quality(found / total, gain / total, len(shown) / len(split.products))
