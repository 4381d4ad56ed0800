"""Recommendations: what customers did with products, and which products are recommended instead of one."""

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from returns_pipeline.records.catalogue import Product
from returns_pipeline.records.stored_enum import StoredEnum
from returns_pipeline.records.text import fold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


#: Products that are recommended unless a request says how many.
RECOMMENDED = 5

#: Attributes that many catalogues have, under one name.
_SPELLINGS = {
    "article type": "articletype|producttype|type|artikeltyp|artikelart|typ",
    "tags": "tags|tag|keywords|schlagworte|stichworte",
    "colour": "colour|color|basecolour|basecolor|farbe|grundfarbe",
    "gender": "gender|sex|geschlecht|targetgender|zielgruppe|audience",
    "usage": "usage|use|occasion|verwendung|anlass",
    "material": "material|fabric|stoff",
    "season": "season|saison",
    "size": "size|größe",
}
_NAME_OF = {fold(key): name for name, keys in _SPELLINGS.items() for key in keys.split("|")}
_SEPARATORS = re.compile(r"[\W_]+")


def attribute_key(name: str) -> str:
    """Return a key that all spellings of a name share: case and separators do not matter."""
    return _SEPARATORS.sub("", fold(name))


def attribute_name(name: str) -> str:
    """Return the common name of an attribute, `colour` for `Farbe`; one that has none keeps its own."""
    return _NAME_OF.get(attribute_key(name), name)


class EventKind(StoredEnum):
    """What a customer did with a product."""

    KEPT = "kept"
    RETURNED = "returned"
    VIEWED = "viewed"
    UNKNOWN = "unknown"


class Event(NamedTuple):
    """A row of `events`. `customer` and `product` are ids of the shop."""

    customer: str
    product: str
    kind: EventKind
    at: datetime


class EventCounts(NamedTuple):
    """The lines of a file of events. `lines` is the sum of the others."""

    lines: int = 0
    added: int = 0
    unchanged: int = 0
    refused: int = 0

    def plus(self, other: "EventCounts") -> "EventCounts":
        """Return the sum, field by field."""
        return EventCounts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class RecommendationKind(StrEnum):
    """`substitutes` can replace a product: same kind, available, price within the band."""

    SUBSTITUTES = "substitutes"
    SIMILAR = "similar"


class Part(StrEnum):
    """A part of the score."""

    LOOK = "look"
    ATTRIBUTES = "attributes"
    PRICE = "price"
    RATING = "rating"
    AVAILABILITY = "availability"
    TASTE = "taste"


class PartOfScore(NamedTuple):
    """What a part adds to a score: `weight` times `value`, which is between 0 and 1."""

    part: Part
    value: float
    weight: float


class Question(NamedTuple):
    """What recommendations are wanted for. `product` is None if only a category or a customer is known.

    `look` is the vector of the product or of a photo, `taste` that of the customer: float32 [dimensions],
    length 1, in the active space; None if there is none.
    """

    kind: RecommendationKind
    limit: int
    product: Product | None = None
    look: "NDArray[np.float32] | None" = None
    taste: "NDArray[np.float32] | None" = None


class Candidate(NamedTuple):
    """A product that may be recommended. `together` is the similarity by customers, between 0 and 1."""

    product: Product
    look: "NDArray[np.float32] | None" = None
    together: float = 0.0


class Recommended(NamedTuple):
    """A product that is recommended, its score between 0 and 1, and the facts that explain it.

    `shared` are the names of attributes with the same value. `price_ratio` is its price by that of the
    product, `look` the cosine of both; each is None if it is not known.
    """

    product: Product
    score: float
    parts: Sequence[PartOfScore]
    shared: Sequence[str] = ()
    same_category: bool = False
    price_ratio: float | None = None
    look: float | None = None
    together: float = 0.0
    fits_taste: bool = False


class Recommendations(NamedTuple):
    """The products that are recommended, the best first, and the parts that no candidate could have."""

    products: Sequence[Recommended]
    missing: Sequence[Part]
