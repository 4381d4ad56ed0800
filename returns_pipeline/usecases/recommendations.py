"""Recommends products for a product, a return, a photo or a customer."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from returns_pipeline.recommendations import ranking, taste
from returns_pipeline.records.catalogue import PATH_SEPARATOR, Product
from returns_pipeline.records.embedding import SpaceRow
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
from returns_pipeline.store import candidates, events, products, spaces
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import catalogue
from returns_pipeline.usecases.likely_products import is_part
from returns_pipeline.usecases.product_search import ProductSearch
from returns_pipeline.vectors import nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Products of a kind that are scored: those next in price.
_MOST_SCORED = 120
#: Products that the same customers kept which are scored.
_MOST_TOGETHER = 50
#: Products that look most like a product or a photo which are scored.
_MOST_ALIKE = 40
#: Categories of a label whose products are scored, by the order of their paths.
_PATHS = 5
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
    search: ProductSearch,
    db: Database,
    product_id: str,
    kind: RecommendationKind,
    limit: int,
    customer: str | None = None,
) -> Recommendations:
    """Recommend instead of a product; a customer's taste counts too. Raises NotFoundError."""
    with db.read_together():
        product = catalogue.find(db, product_id)
        return _instead(search, db, product, kind, limit, _customer(db, customer))


def for_return(
    search: ProductSearch, db: Database, item: Return, kind: RecommendationKind, limit: int
) -> Recommendations:
    """Recommend instead of the product of a return; without one, products of the category that was expected.

    What its customer returned before is never recommended. Nothing is if neither is known.
    """
    with db.read_together():
        customer = _customer(db, item.customer)
        product = products.find(db, item.product) if item.product else None
        if product is not None:
            return _instead(search, db, product, kind, limit, customer)
        label = item.expected_label or item.expected_main_label
        returned = frozenset([item.product]) if item.product else frozenset()
        customer = customer._replace(returned=customer.returned | returned)
        return _of_label(db, label, _NO_LOOK, kind, limit, customer)


def for_image(
    search: ProductSearch,
    db: Database,
    label: str | None,
    look: bytes | None,
    item: Return | None,
    kind: RecommendationKind,
    limit: int,
) -> Recommendations:
    """Recommend for a photo: for its return if that has a product, else by its category and its look.

    `label` is its final one, `look` its vector int8 [dimensions] in the active space; None if not known.
    """
    with db.read_together():
        if item is not None and item.product:
            return for_return(search, db, item, kind, limit)
        space = spaces.active(db) if look else None
        seen = _look(search, space, look) if space and look else _NO_LOOK
        return _of_label(db, label, seen, kind, limit, _customer(db, item.customer if item else None))


def for_customer(db: Database, customer: str, kind: RecommendationKind, limit: int) -> Recommendations:
    """Recommend what a customer may like: kept by the same customers, or like what was kept last.

    Nothing is recommended that the customer has. Without an event there is nothing to recommend.
    """
    with db.read_together():
        found = _customer(db, customer)
        kept = found.kept
        together = taste.together(kept, candidates.neighbours_of(db, kept))
        offered = candidates.by_ids(db, _best(together))
        category = candidates.categories_of(db, kept)
        paths = dict.fromkeys(category[each] for each in kept if each in category)
        for path in list(paths)[:_CATEGORIES]:
            offered += candidates.of_category(db, path, _MOST_SCORED // _CATEGORIES)
        without = found.returned | set(kept)
        question = Question(kind, limit, taste=_taste(db, found))
        return _ranked(db, question, [each for each in offered if each.product_id not in without], together)


def _customer(db: Database, customer: str | None) -> Customer:
    if not customer:
        return _NOBODY
    return Customer(
        events.of_customer(db, customer, _MOST_EVENTS), frozenset(events.returned_by(db, customer))
    )


class _Look(NamedTuple):
    """The look of a product or a photo, length 1, and the rows of the products that look most like it."""

    vector: "NDArray[np.float32] | None" = None
    alike: Sequence[int] = ()


_NO_LOOK = _Look()


def _look(search: ProductSearch, space: SpaceRow, vector: bytes) -> _Look:
    look = nearest.unit(np.frombuffer(vector, np.int8)[None])[0]
    return _Look(look, search.nearby(space, vector, _MOST_ALIKE))


def _look_of(search: ProductSearch, db: Database, product: Product) -> _Look:
    space = spaces.active(db)
    vector = spaces.vector_of(db, space.id, product.id) if space else None
    return _look(search, space, vector) if space and vector else _NO_LOOK


def _instead(
    search: ProductSearch,
    db: Database,
    product: Product,
    kind: RecommendationKind,
    limit: int,
    customer: Customer,
) -> Recommendations:
    is_substitute = kind is RecommendationKind.SUBSTITUTES
    offered = _of_kind(db, product, is_substitute=is_substitute)
    if (
        not is_substitute
        and len(offered) <= limit
        and product.category
        and PATH_SEPARATOR in product.category
    ):
        offered += candidates.below(db, product.category.rpartition(PATH_SEPARATOR)[0], _MOST_SCORED)
    wanted = [product.product_id, *customer.kept]
    together = taste.together(wanted, candidates.neighbours_of(db, wanted))
    look = _look_of(search, db, product)
    offered += candidates.by_ids(db, _best(together)) + candidates.by_rows(db, look.alike)
    question = Question(kind, limit, product, look.vector, _taste(db, customer))
    return _ranked(db, question, _not_returned(offered, customer), together)


def _of_kind(db: Database, product: Product, *, is_substitute: bool) -> list[Product]:
    """Return products of the same category: those next in price, substitutes within the band."""
    if product.price is None:
        return candidates.of_category(db, product.category, _MOST_SCORED)
    band = None
    if is_substitute and product.price:
        band = (product.price * Decimal(ranking.CHEAPEST), product.price * Decimal(ranking.DEAREST))
    return candidates.next_in_price(db, product, _MOST_SCORED, band)


def _of_label(
    db: Database, label: str | None, look: _Look, kind: RecommendationKind, limit: int, customer: Customer
) -> Recommendations:
    """Recommend products of the categories whose path ends with a label of the model, and by a look.

    What replaces a photo is of its category, so without a label the look alone has no substitutes.
    """
    offered: list[Product] = []
    if label:
        key = label_key(label)
        paths = (
            path for path in products.categories(db) if label_key(path.rpartition(PATH_SEPARATOR)[2]) == key
        )
        for path in islice(paths, _PATHS):
            offered += candidates.of_category(db, path, _MOST_SCORED)
            offered += candidates.below(db, path, _MOST_SCORED)
    offered += [
        each
        for each in candidates.by_rows(db, look.alike)
        if kind is RecommendationKind.SIMILAR or (label and is_part(label, each.category))
    ]
    kept = customer.kept
    together = taste.together(kept, candidates.neighbours_of(db, kept))
    question = Question(kind, limit, look=look.vector, taste=_taste(db, customer))
    return _ranked(db, question, _not_returned(offered, customer), together)


def _not_returned(offered: Iterable[Product], customer: Customer) -> Iterable[Product]:
    return (each for each in offered if each.product_id not in customer.returned)


def _best(together: Mapping[str, float]) -> list[str]:
    """Return the products that were kept together most often."""
    return sorted(together, key=lambda product: (-together[product], product))[:_MOST_TOGETHER]


def _taste(db: Database, customer: Customer) -> "NDArray[np.float32] | None":
    rows = candidates.rows_of(db, {each.product for each in customer.events})
    looks = candidates.looks_of(db, list(rows.values()))
    seen = [
        (each.kind, looks[row])
        for each in customer.events
        if (row := rows.get(each.product)) is not None and row in looks
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
