"""Recommends products for a product, a return, a photo or a customer."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from returns_pipeline.recommendations import ranking, taste
from returns_pipeline.records.catalogue import PATH_SEPARATOR, Product
from returns_pipeline.records.recommendations import (
    Candidate,
    Event,
    EventKind,
    Question,
    RecommendationKind,
    Recommendations,
)
from returns_pipeline.records.returns import Return
from returns_pipeline.records.text import label_key
from returns_pipeline.store import candidates, events, products
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import catalogue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from returns_pipeline.records.images import ImageResult

#: Products of a kind that are scored: those next in price.
_MOST_SCORED = 120
#: Products that the same customers kept which are scored.
_MOST_TOGETHER = 50
#: The newest events of a customer that make up the taste.
_MOST_EVENTS = 100
#: Categories whose products are scored for a customer: those of the products that were kept last.
_CATEGORIES = 3


class Customer(NamedTuple):
    """What is known of a customer: the newest events, and the products that are never recommended."""

    events: Sequence[Event] = ()
    returned: frozenset[str] = frozenset()

    @property
    def kept(self) -> list[str]:
        """The products that were kept and not returned, those of the newest events first."""
        kept = dict.fromkeys(each.product for each in self.events if each.kind is EventKind.KEPT)
        return [product for product in kept if product not in self.returned]


_NOBODY = Customer()


def for_product(
    db: Database, product_id: str, kind: RecommendationKind, limit: int, customer: str | None = None
) -> Recommendations:
    """Recommend instead of a product; a customer's taste counts too. Raises NotFoundError."""
    product, _ = catalogue.existing(db, product_id)
    return _instead(db, product, kind, limit, _customer(db, customer))


def for_return(db: Database, item: Return, kind: RecommendationKind, limit: int) -> Recommendations:
    """Recommend instead of the product of a return; without one, products of the category that was expected.

    What its customer returned before is never recommended. Nothing is if neither is known.
    """
    customer = _customer(db, item.customer)
    product = products.find(db, item.product) if item.product else None
    if product is not None:
        return _instead(db, product, kind, limit, customer)
    label = item.expected_label or item.expected_main_label
    returned = frozenset([item.product]) if item.product else frozenset()
    return _of_label(db, label, kind, limit, customer._replace(returned=customer.returned | returned))


def for_image(
    db: Database, image: "ImageResult", item: Return | None, kind: RecommendationKind, limit: int
) -> Recommendations:
    """Recommend for a photo: for its return if that has a product, else products of its category."""
    if item is not None and item.product:
        return for_return(db, item, kind, limit)
    return _of_label(db, image.final_label, kind, limit, _customer(db, item.customer if item else None))


def for_customer(db: Database, customer: str, kind: RecommendationKind, limit: int) -> Recommendations:
    """Recommend what a customer may like: kept by the same customers, or like what was kept last.

    Nothing is recommended that the customer has. Without an event there is nothing to recommend.
    """
    found = _customer(db, customer)
    kept = found.kept
    together = taste.together(kept, candidates.neighbours_of(db, kept))
    offered = candidates.by_ids(db, _best(together))
    last = {each.product_id: each for each in candidates.by_ids(db, kept)}
    paths = dict.fromkeys(last[each].category for each in kept if each in last)
    for path in list(paths)[:_CATEGORIES]:
        offered += candidates.of_category(db, path, _MOST_SCORED // _CATEGORIES, only_available=True)
    without = found.returned | set(kept)
    question = Question(kind, limit, taste=_taste(db, found))
    return _ranked(db, question, [each for each in offered if each.product_id not in without], together)


def _customer(db: Database, customer: str | None) -> Customer:
    if not customer:
        return _NOBODY
    return Customer(
        events.of_customer(db, customer, _MOST_EVENTS), frozenset(events.returned_by(db, customer))
    )


def _instead(
    db: Database, product: Product, kind: RecommendationKind, limit: int, customer: Customer
) -> Recommendations:
    is_substitute = kind is RecommendationKind.SUBSTITUTES
    band = None
    if is_substitute and product.price:
        band = (product.price * Decimal(ranking.CHEAPEST), product.price * Decimal(ranking.DEAREST))
    offered = candidates.of_category(
        db,
        product.category,
        _MOST_SCORED,
        price=product.price,
        band=band,
        currency=product.currency,
        only_available=True,
    )
    wanted = [product.product_id, *customer.kept]
    together = taste.together(wanted, candidates.neighbours_of(db, wanted))
    also = candidates.by_ids(db, _best(together))
    if is_substitute:
        also = [each for each in also if each.category == product.category]
    elif len(offered) <= limit and product.category and PATH_SEPARATOR in product.category:
        also += candidates.below(db, product.category.rpartition(PATH_SEPARATOR)[0], _MOST_SCORED)
    look = candidates.looks_of(db, [product.id]).get(product.id)
    question = Question(kind, limit, product, look, _taste(db, customer))
    offered = [each for each in (*offered, *also) if each.product_id not in customer.returned]
    return _ranked(db, question, offered, together)


def _of_label(
    db: Database, label: str | None, kind: RecommendationKind, limit: int, customer: Customer
) -> Recommendations:
    """Recommend products of the categories whose path ends with a label of the model."""
    offered: list[Product] = []
    if label:
        key = label_key(label)
        for path in products.categories(db):
            if label_key(path.rpartition(PATH_SEPARATOR)[2]) == key:
                offered += candidates.of_category(db, path, _MOST_SCORED, only_available=True)
                offered += candidates.below(db, path, _MOST_SCORED)
    kept = customer.kept
    together = taste.together(kept, candidates.neighbours_of(db, kept))
    offered = [each for each in offered if each.product_id not in customer.returned]
    return _ranked(db, Question(kind, limit, taste=_taste(db, customer)), offered, together)


def _best(together: Mapping[str, float]) -> list[str]:
    """Return the products that were kept together most often."""
    return sorted(together, key=lambda product: (-together[product], product))[:_MOST_TOGETHER]


def _taste(db: Database, customer: Customer) -> "NDArray[np.float32] | None":
    known = {each.product_id: each.id for each in candidates.by_ids(db, {e.product for e in customer.events})}
    looks = candidates.looks_of(db, list(known.values()))
    seen = [
        (each.kind, looks[row])
        for each in customer.events
        if (row := known.get(each.product)) is not None and row in looks
    ]
    return taste.taste_vector(seen)


def _ranked(
    db: Database, question: Question, offered: Iterable[Product], together: Mapping[str, float]
) -> Recommendations:
    """Rank products, each once."""
    once = {each.id: each for each in offered}
    looks = candidates.looks_of(db, list(once))
    found = [
        Candidate(each, looks.get(each.id), together.get(each.product_id, 0.0)) for each in once.values()
    ]
    return ranking.rank(question, found)
