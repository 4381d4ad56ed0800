"""A return's photo beside the expected product, and beside the one that it looks more like."""

from collections.abc import Sequence
from typing import NamedTuple

from returns_pipeline.records.catalogue import PictureState, Product, ProductImage
from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.verdicts import Verdict
from returns_pipeline.store import product_images, products
from returns_pipeline.store.database import Database
from returns_pipeline.store.return_photos import ReturnPhoto


class ComparedProduct(NamedTuple):
    """A product beside a photo. `picture` is the one that was compared; None if it is gone."""

    item: Product
    picture: ProductImage | None
    likeness: float


class ComparedOnPage(NamedTuple):
    """The photo that was compared, the expected product, and the one that it looks more like, if any."""

    image: ImageResult
    expected: ComparedProduct
    other: ComparedProduct | None


def of_return(db: Database, verdict: Verdict | None, photos: Sequence[ReturnPhoto]) -> ComparedOnPage | None:
    """Return what a page shows side by side; None if photo and product were not compared, or are gone."""
    facts = verdict.product if verdict else None
    if verdict is None or facts is None:
        return None
    image = next((each.image for each in photos if each.image.id == facts.image), None)
    expected = _compared(db, facts.product, facts.picture, facts.likeness)
    if image is None or image.deleted_at or expected is None:
        return None
    other = None
    if verdict.found_product is not None:
        other = _compared(db, verdict.found_product, facts.other_picture, facts.other_likeness)
    return ComparedOnPage(image, expected, other)


def _compared(db: Database, product_id: str, picture_id: int, likeness: float) -> ComparedProduct | None:
    item = products.find(db, product_id)
    if item is None:
        return None
    picture = product_images.find(db, picture_id)
    is_shown = picture is not None and picture.product == item.id and picture.folder is not None
    is_usable = is_shown and picture is not None and picture.state != PictureState.UNUSABLE
    return ComparedProduct(item, picture if is_usable else None, likeness)
