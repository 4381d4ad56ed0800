"""How far two products agree in what is said of them."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from returns_pipeline.records.catalogue import AttributeValue, Product
from returns_pipeline.records.text import fold

#: Weights by the name of the attribute, without case, blanks and separators.
_WEIGHTS = {
    **dict.fromkeys(("articletype", "producttype", "type", "artikeltyp", "artikelart", "typ"), 3.0),
    **dict.fromkeys(("tags", "tag", "keywords", "schlagworte", "stichworte"), 3.0),
    **dict.fromkeys(("colour", "color", "basecolour", "basecolor", "farbe", "grundfarbe"), 2.0),
    **dict.fromkeys(("gender", "sex", "agegroup", "audience", "geschlecht", "zielgruppe"), 2.0),
    **dict.fromkeys(("usage", "use", "occasion", "verwendung", "anlass"), 1.5),
    **dict.fromkeys(("material", "fabric", "stoff"), 1.5),
}
_BRAND, _TITLE = "brand", "title"
_WEIGHT_OF_BRAND, _WEIGHT_OF_TITLE, _WEIGHT_OF_OTHERS = 1.5, 1.5, 0.5
#: Attributes that say which product it is or how it is sold, not what it is like.
_NOT_COMPARED = re.compile(
    r"id$|sku|barcode|gtin|ean|qr|code|created|updated|date|url|link|image|picture|thumbnail|warranty|"
    r"shipping|delivery|returnpolicy|minimumorder|discount|availability|stock|review|rating|price|"
    r"weight|width|height|depth|length|dimension|versand|liefer|garantie|gewicht|bestand"
)
_KINDS = frozenset(name for name, weight in _WEIGHTS.items() if weight == 3.0)
_MOST_OF_VALUE = 60
_WORD = re.compile(r"\w+")
_NAME = re.compile(r"[\W_]+")

#: {name of the attribute: its values, folded}
Traits = Mapping[str, frozenset[str]]


def traits_of(product: Product) -> Traits:
    """Return what is compared of a product: its attributes, its brand, and the words of its title."""
    found: dict[str, frozenset[str]] = {}
    for name, value in product.attributes.items():
        key = _key(name)
        if not _NOT_COMPARED.search(key) and (values := frozenset(_texts(value))):
            found[key] = values
    brand = fold(product.brand or "")
    if brand:
        found[_BRAND] = frozenset([brand])
    without = set(_WORD.findall(brand))
    words = {word for word in _WORD.findall(fold(product.title or "")) if len(word) > 2} - without
    if words:
        found[_TITLE] = frozenset(words)
    return found


def _texts(value: AttributeValue) -> Iterable[str]:
    for each in value if isinstance(value, list) else (value,):
        if isinstance(each, float):
            continue
        text = fold(str(each)).strip()
        if 0 < len(text) <= _MOST_OF_VALUE:
            yield text


def _key(name: str) -> str:
    return _NAME.sub("", fold(name))


def is_other_kind(product: Traits, other: Traits) -> bool:
    """Whether both have a type or tags, and none of these in common: an apple and a steak are groceries."""
    return any(
        name in _KINDS and name in other and not values & other[name] for name, values in product.items()
    )


class Agreement(NamedTuple):
    """The share of agreement, 0 to 1, and the names of the attributes that are the same."""

    share: float
    same: Sequence[str]


class Comparison:
    """Compares products of one set. A value that few of them have counts more.

    The rarity of a value that n of N products have is log((N + 1) / n) / log(N + 1), as the inverse document
    frequency of information retrieval (Sparck Jones 1972), so that one that all have counts almost nothing.
    """

    def __init__(self, traits: Sequence[Traits]) -> None:
        """Count the values of a set of products."""
        self._counts = Counter(
            (name, value) for each in traits for name, values in each.items() for value in values
        )
        self._total = len(traits)

    def _rarity(self, name: str, value: str) -> float:
        return math.log((self._total + 1) / max(1, self._counts[name, value])) / math.log(self._total + 1)

    def agreement(self, product: Traits, other: Traits) -> Agreement:
        """Return the agreement in the attributes that both have, by weight and rarity.

        In an attribute with several values or words it is the share of the rarity of those in common.
        """
        total = agreed = 0.0
        same: list[str] = []
        for name, values in product.items():
            if name not in other:
                continue
            union = {value: self._rarity(name, value) for value in values | other[name]}
            common = values & other[name]
            mine = max(union[value] for value in values)
            weight = _weight(name) * (0.5 + mine)
            rarity = sum(union.values())
            share = sum(union[value] for value in common) / rarity if rarity else float(bool(common))
            total += weight
            agreed += weight * share
            if values == other[name] and name != _TITLE:
                same.append(name)
        return Agreement(
            agreed / total if total else 0.0, sorted(same, key=lambda name: (-_weight(name), name))
        )


def _weight(name: str) -> float:
    if name == _BRAND:
        return _WEIGHT_OF_BRAND
    return _WEIGHT_OF_TITLE if name == _TITLE else _WEIGHTS.get(name, _WEIGHT_OF_OTHERS)
