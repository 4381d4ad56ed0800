"""How far two products agree in what is said of them."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from returns_pipeline.records.catalogue import AttributeValue, Product
from returns_pipeline.records.recommendations import attribute_key, attribute_name
from returns_pipeline.records.text import fold

#: Weights by `records.recommendations.attribute_name`, and of brand and title.
_BRAND, _TITLE = "brand", "title"
_TYPE, _GENDER = "article type", "gender"
_KINDS = (_TYPE, "tags")
_FOR_EVERYONE = frozenset({"unisex", "all", "alle"})
_WEIGHTS = {
    **dict.fromkeys(_KINDS, 3.0),
    "colour": 2.0,
    _GENDER: 2.0,
    _BRAND: 1.5,
    _TITLE: 1.5,
    "usage": 1.5,
    "material": 1.5,
}
_WEIGHT_OF_OTHERS = 0.5
#: Attributes that say which product it is or how it is sold, not what it is like.
_NOT_COMPARED = re.compile(
    r"id$|sku|barcode|gtin|ean|qr|code|created|updated|date|url|link|image|picture|thumbnail|warranty|"
    r"shipping|delivery|returnpolicy|minimumorder|discount|availability|stock|review|rating|price|"
    r"weight|(main|master|sub)category|width|height|depth|length|dimension|versand|liefer|garantie|gewicht|bestand"
)
_MOST_OF_VALUE = 60
_WORD = re.compile(r"\w+")

#: {name of the attribute: its values, folded}
Traits = Mapping[str, frozenset[str]]


def traits_of(product: Product) -> Traits:
    """Return what is compared of a product: its attributes, its brand, and the words of its title."""
    found: dict[str, frozenset[str]] = {}
    for name, value in product.attributes.items():
        compared = _compared_name(name)
        if compared and (values := frozenset(_texts(value))):
            found[compared] = values
    brand = fold(product.brand or "")
    if brand:
        found[_BRAND] = frozenset([brand])
    without = set(_WORD.findall(brand))
    words = {word for word in _WORD.findall(fold(product.title or "")) if len(word) > 2} - without
    if words:
        found[_TITLE] = frozenset(words)
    return found


@lru_cache(10_000)
def _compared_name(name: str) -> str:
    """Return the name under which an attribute is compared; empty for one that is not."""
    return "" if _NOT_COMPARED.search(attribute_key(name)) else attribute_name(name)


def _texts(value: AttributeValue) -> Iterable[str]:
    for each in value if isinstance(value, list) else (value,):
        if isinstance(each, float):
            continue
        text = fold(str(each)).strip()
        if 0 < len(text) <= _MOST_OF_VALUE:
            yield text


def is_other_kind(product: Traits, other: Traits) -> bool:
    """Whether both have a type, tags or a gender, and none of these in common.

    An apple and a steak are both groceries, but of different kinds. What is for everyone differs from none.
    """
    return any(
        name in product
        and name in other
        and not product[name] & other[name]
        and not (name == _GENDER and _FOR_EVERYONE & (product[name] | other[name]))
        for name in (*_KINDS, _GENDER)
    )


def is_same_kind(product: Traits, other: Traits) -> bool:
    """Whether both are known to be of one kind: they have an article type in common, and no gender apart."""
    common = product.get(_TYPE, frozenset()) & other.get(_TYPE, frozenset())
    return bool(common) and not is_other_kind(product, other)


class Agreement(NamedTuple):
    """The share of agreement, 0 to 1, and the names of the attributes that are the same."""

    share: float
    same: Sequence[str]


class Comparison:
    """Compares products of one set. A value that few of them have counts more.

    The rarity of a value that n of N products have is 1 - log(n) / log(N + 1): the inverse document frequency
    of information retrieval (Sparck Jones 1972), as a share. What all have counts almost nothing.
    """

    def __init__(self, traits: Sequence[Traits]) -> None:
        """Count the values of a set of products."""
        counts = Counter(
            (name, value) for each in traits for name, values in each.items() for value in values
        )
        total = math.log(len(traits) + 1)
        self._rarities = {each: 1 - math.log(count) / total for each, count in counts.items()}
        self._weights: dict[tuple[str, frozenset[str]], float] = {}

    def _rarity(self, name: str, values: Iterable[str]) -> list[float]:
        """Return the rarity of each value; one that no product has is the rarest."""
        return [self._rarities.get((name, value), 1.0) for value in values]

    def _weight(self, name: str, values: frozenset[str]) -> float:
        key = (name, values)
        if key not in self._weights:
            self._weights[key] = _weight(name) * (0.5 + max(self._rarity(name, values)))
        return self._weights[key]

    def agreement(self, product: Traits, other: Traits) -> Agreement:
        """Return the agreement in the attributes that both have, by weight and rarity.

        In an attribute with several values or words it is the share of the rarity of those in common.
        """
        total = agreed = 0.0
        same: list[str] = []
        for name, mine in product.items():
            theirs = other.get(name)
            if theirs is None:
                continue
            weight = self._weight(name, mine)
            total += weight
            if mine == theirs:
                agreed += weight
                same.append(name)
            elif common := mine & theirs:
                agreed += weight * sum(self._rarity(name, common)) / sum(self._rarity(name, mine | theirs))
        same = sorted((name for name in same if name != _TITLE), key=lambda name: (-_weight(name), name))
        return Agreement(agreed / total if total else 0.0, same)


def _weight(name: str) -> float:
    return _WEIGHTS.get(name, _WEIGHT_OF_OTHERS)
