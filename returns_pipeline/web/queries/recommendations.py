"""Recommendations for a return or a photo: of pages and of the REST interface."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import NotFoundError, TransientFault
from returns_pipeline.records.catalogue import ProductImage
from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.recommendations import RecommendationKind, Recommendations, Recommended
from returns_pipeline.records.returns import Return, return_number
from returns_pipeline.records.text import printable
from returns_pipeline.store import product_images, return_photos, returns
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import recommendations
from returns_pipeline.usecases.likely_products import NothingEmbeddedError
from returns_pipeline.web.queries.likely import can_be_compared
from returns_pipeline.web.queries.look_client import LookClient
from returns_pipeline.web.queries.lookups import image_by_id


def of_return(looks: LookClient, number: str, kind: RecommendationKind, limit: int) -> Recommendations:
    """Recommend for a return by its number. Raises NotFoundError."""
    db = looks.db
    wanted = return_number(number)
    item = returns.find(db, wanted) if wanted else None
    if item is None:
        raise NotFoundError("There is no return {number}.", number=printable(number)[:100])
    return recommendations.for_return(looks.search, db, item, kind, limit)


async def of_image(looks: LookClient, image_id: int, kind: RecommendationKind, limit: int) -> Recommendations:
    """Recommend for a photo by its id. Raises NotFoundError.

    A worker looks at the photo at the first request. Without a reply in time, its look does not count.
    """
    image, item = await run_in_threadpool(_image_and_return, looks.db, image_id)
    look = None
    if can_be_compared(image) and not (item and item.product):
        with suppress(NothingEmbeddedError, TransientFault):
            look = (await looks.of_image(image_id)).vector
    return await run_in_threadpool(
        recommendations.for_image, looks.search, looks.db, image.final_label, look, item, kind, limit
    )


def _image_and_return(db: Database, image_id: int) -> tuple[ImageResult, Return | None]:
    image = image_by_id(db, image_id)
    linked = return_photos.return_of(db, image_id)
    return image, returns.find(db, linked.number) if linked else None


class RecommendedOnPage(NamedTuple):
    """What `recommendations.html` shows: each product with its pictures."""

    products: Sequence[tuple[Recommended, Sequence[ProductImage]]]
    found: Recommendations


def on_page(db: Database, found: Recommendations) -> RecommendedOnPage:
    """Return recommendations with the pictures of their products."""
    pictures = product_images.of_products(db, [each.product.id for each in found.products])
    return RecommendedOnPage([(each, pictures[each.product.id]) for each in found.products], found)
