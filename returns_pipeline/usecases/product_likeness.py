"""How much photos look like the expected product, compared with the most similar one of its category."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from returns_pipeline.records.catalogue import Product, ProductFilter
from returns_pipeline.records.embedding import SpaceRow
from returns_pipeline.store import spaces
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.product_search import ProductSearch
from returns_pipeline.vectors.nearest import unit
from returns_pipeline.verdicts.products import margin_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Products of a category that a photo is compared with, the nearest.
CANDIDATES = 300
#: How much an attribute counts beside the look. Two products of a category differ in their look first.
_ATTRIBUTE_WEIGHT = 0.6


class Candidate(NamedTuple):
    """A picture of a product, with its vector int8 [d] as bytes."""

    product: int
    picture: int
    vector: bytes


class Likeness(NamedTuple):
    """The photo that looks most like the expected product, compared with the others. `photo` is its place.

    `picture` is the expected product's most similar picture, and `other` the most similar other product;
    `value` and `other_value` are how alike both look, -1 to 1.
    """

    photo: int
    picture: int
    value: float
    other: Candidate
    other_value: float

    @property
    def margin(self) -> float:
        """How much more the photo looks like the expected product."""
        return margin_of(self.value, self.other_value)


def likeness(
    photos: Sequence[bytes],
    pictures: Sequence[Candidate],
    nearest: Callable[[bytes], Sequence[Candidate]],
    parts: Sequence[int] = (),
) -> Likeness | None:
    """Compare the vectors of photos with those of the `pictures` of one product, and with other products.

    `nearest` returns pictures that a vector may look like, of any product; `parts` are those of the space. Of
    several photos the one counts that speaks most for the product. None without photos, pictures or others.
    """
    if not pictures:
        return None
    own = _rows([each.vector for each in pictures], parts)
    found = []
    for place, vector in enumerate(photos):
        others = [each for each in nearest(vector) if each.product != pictures[0].product]
        if not others:
            continue
        photo = _rows([vector], parts)[0]
        mine, theirs = own @ photo, _rows([each.vector for each in others], parts) @ photo
        best, other = int(mine.argmax()), int(theirs.argmax())
        value, other_value = (round(min(float(each.max()), 1.0), 6) for each in (mine, theirs))
        found.append(Likeness(place, pictures[best].picture, value, others[other], other_value))
    return max(found, key=lambda each: each.margin, default=None)


def _rows(vectors: Sequence[bytes], parts: Sequence[int]) -> "NDArray[np.float32]":
    """Return rows whose products are the likeness: the weighted mean of the cosines of the parts.

    The cosine of whole vectors finds products of the same kind and colour, whose look hardly counts in it.
    """
    rows = np.stack([np.frombuffer(vector, np.int8) for vector in vectors])
    if len(parts) < 2:
        return unit(rows)
    weights = np.array([_ATTRIBUTE_WEIGHT] * (len(parts) - 1) + [1.0])
    weights = np.sqrt(weights / weights.sum())
    found = np.split(rows, np.cumsum(parts)[:-1], axis=1)
    weighted = [unit(part) * np.float32(weight) for part, weight in zip(found, weights, strict=True)]
    return np.concatenate(weighted, axis=1)


class CatalogueLooks:
    """Compares photos with the products of the catalogue, in the active space."""

    def __init__(self, db: Database, search: ProductSearch, space: SpaceRow, parts: Sequence[int]) -> None:
        """Read nothing yet."""
        self._db, self._search, self._space, self._parts = db, search, space, parts

    def pictures(self, product: int) -> list[Candidate]:
        """Return the pictures of a product that have a vector."""
        found = spaces.vectors_of(self._db, self._space.id, product)
        return [Candidate(product, *each) for each in found]

    def likeness(
        self, photos: Sequence[bytes], item: Product, pictures: Sequence[Candidate]
    ) -> Likeness | None:
        """Compare photos with a product and the others of its category; with all if there are none."""
        for category in dict.fromkeys((item.category or "", "")):
            nearest = partial(self._nearest, wanted=ProductFilter(category=category))
            found = likeness(photos, pictures, nearest, self._parts)
            if found is not None:
                return found
        return None

    def _nearest(self, vector: bytes, wanted: ProductFilter) -> list[Candidate]:
        near = self._search.like_vector(self._space, vector, CANDIDATES, wanted)
        known = spaces.vectors_of_pictures(self._db, self._space.id, [each.product_image for each in near])
        return [
            Candidate(each.product, each.product_image, known[each.product_image])
            for each in near
            if each.product_image in known
        ]
