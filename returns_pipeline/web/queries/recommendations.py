"""Recommendations for a return or a photo: of pages and of the REST interface."""

from collections.abc import Sequence
from typing import NamedTuple

from returns_pipeline.errors import NotFoundError
from returns_pipeline.records.catalogue import ProductImage
from returns_pipeline.records.recommendations import RecommendationKind, Recommendations, Recommended
from returns_pipeline.records.returns import return_number
from returns_pipeline.records.text import printable
from returns_pipeline.store import product_images, return_photos, returns
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import recommendations
from returns_pipeline.web.queries.lookups import image_by_id


def of_return(db: Database, number: str, kind: RecommendationKind, limit: int) -> Recommendations:
    """Recommend for a return by its number. Raises NotFoundError."""
    wanted = return_number(number)
    item = returns.find(db, wanted) if wanted else None
    if item is None:
        raise NotFoundError("There is no return {number}.", number=printable(number)[:100])
    return recommendations.for_return(db, item, kind, limit)


def of_image(db: Database, image_id: int, kind: RecommendationKind, limit: int) -> Recommendations:
    """Recommend for a photo by its id. Raises NotFoundError."""
    image = image_by_id(db, image_id)
    linked = return_photos.return_of(db, image_id)
    item = returns.find(db, linked.number) if linked else None
    return recommendations.for_image(db, image, item, kind, limit)


class RecommendedOnPage(NamedTuple):
    """What `recommendations.html` shows: each product with its pictures."""

    products: Sequence[tuple[Recommended, Sequence[ProductImage]]]
    found: Recommendations


def on_page(db: Database, found: Recommendations) -> RecommendedOnPage:
    """Return recommendations with the pictures of their products."""
    pictures = product_images.of_products(db, [each.product.id for each in found.products])
    return RecommendedOnPage([(each, pictures[each.product.id]) for each in found.products], found)
