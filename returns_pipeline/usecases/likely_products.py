"""The products that look most like photos or like another product, and why."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from returns_pipeline.errors import ConflictError
from returns_pipeline.records.catalogue import (
    PATH_SEPARATOR,
    PictureState,
    Product,
    ProductFilter,
    ProductImage,
)
from returns_pipeline.records.embedding import SimilarProduct, SpaceRow
from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.text import fold
from returns_pipeline.store import product_images, products, spaces
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.product_search import ProductSearch

_LETTERS = re.compile(r"[\W\d_]+")
#: The endings of an English plural.
_PLURALS = ("", "s", "es")


class LikelyProduct(NamedTuple):
    """A product that is found. `cosine` is that of its most similar picture, None if looks are not compared.

    `picture` is this picture, else the first one that is a file. `category` is the predicted category that is
    a part of the product's path, or None.
    """

    item: Product
    pictures: Sequence[ProductImage]
    picture: ProductImage | None
    cosine: float | None
    category: str | None


class NothingEmbeddedError(ConflictError):
    """No picture of the catalogue has a vector, so no look can be compared."""

    def __init__(self) -> None:
        """Say what an operator has to do."""
        super().__init__(
            "The products cannot be compared with a photo yet.",
            "An operator runs `returns-pipeline catalogue embed`.",
        )


def active_space(db: Database) -> SpaceRow:
    """Return the space in which looks are compared. Raises NothingEmbeddedError before the first is whole."""
    found = spaces.active(db)
    if found is None:
        raise NothingEmbeddedError
    return found


def like_vectors(
    search: ProductSearch,
    db: Database,
    space: SpaceRow,
    vectors: Iterable[bytes],
    count: int,
    wanted: ProductFilter = ProductFilter(),  # noqa: B008 - immutable
    predicted: Iterable[str] = (),
) -> list[LikelyProduct]:
    """Return the products nearest to one of several vectors, the most similar first.

    `predicted` are the categories of the photos.
    """
    best: dict[int, SimilarProduct] = {}
    for vector in vectors:
        for each in search.like_vector(space, vector, count, wanted):
            if each.product not in best or best[each.product].cosine < each.cosine:
                best[each.product] = each
    nearest = sorted(best.values(), key=lambda each: (-each.cosine, each.product))
    return _likely(db, nearest[:count], list(predicted))


def like_product(
    search: ProductSearch, db: Database, item: Product, count: int, wanted: ProductFilter
) -> list[LikelyProduct]:
    """Return the products that look like another one, without it. Raises NothingEmbeddedError."""
    active_space(db)
    return _likely(db, search.like_product(item.id, count, wanted), [])


def of_words(db: Database, wanted: ProductFilter, count: int) -> list[LikelyProduct]:
    """Return the newest products that a filter chooses."""
    found = products.page(db, wanted, None, count).products
    pictures = product_images.of_products(db, [item.id for item in found])
    return [LikelyProduct(item, pictures[item.id], _first(pictures[item.id]), None, None) for item in found]


def categories_of(images: Iterable[ImageResult]) -> list[str]:
    """Return the categories of images, each once: final ones, else predicted ones."""
    found = [
        label
        for image in images
        for label in (image.final_label or image.label, image.main_label)
        if label is not None
    ]
    return list(dict.fromkeys(found))


def _likely(db: Database, found: Sequence[SimilarProduct], predicted: Sequence[str]) -> list[LikelyProduct]:
    rows = [each.product for each in found]
    items, pictures = products.by_rows(db, rows), product_images.of_products(db, rows)
    likely = []
    for each in found:
        # A product may be gone since the search.
        if (item := items.get(each.product)) is not None:
            own = pictures[item.id]
            picture = next((one for one in own if one.id == each.product_image), _first(own))
            category = next((label for label in predicted if is_part(label, item.category)), None)
            likely.append(LikelyProduct(item, own, picture, each.cosine, category))
    return likely


def _first(pictures: Sequence[ProductImage]) -> ProductImage | None:
    shown = [each for each in pictures if each.folder is not None and each.state != PictureState.UNUSABLE]
    return shown[0] if shown else None


def is_part(label: str, path: str | None) -> bool:
    """Whether a category is a part of a product's path: `t-shirt` is one of `Apparel/Topwear/Tshirts`."""
    wanted = _letters(label)
    parts = [_letters(part) for part in (path or "").split(PATH_SEPARATOR)]
    return bool(wanted) and any(
        part in {f"{wanted}{end}" for end in _PLURALS} or wanted in {f"{part}{end}" for end in _PLURALS}
        for part in parts
        if part
    )


def _letters(text: str) -> str:
    return _LETTERS.sub("", fold(text))
