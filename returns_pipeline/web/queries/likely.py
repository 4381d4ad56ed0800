"""The products that look like photos, for pages and for programs."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import RefusedError, TransientFault
from returns_pipeline.languages import retold
from returns_pipeline.records.catalogue import ProductFilter
from returns_pipeline.records.embedding import PhotoLook
from returns_pipeline.records.images import ImageResult, ImageState, LabelSource
from returns_pipeline.records.text import pathless
from returns_pipeline.usecases import likely_products
from returns_pipeline.usecases.likely_products import LikelyProduct, NothingEmbeddedError
from returns_pipeline.web.errors import NoReplyError
from returns_pipeline.web.queries.look_client import LookClient

#: Photos of one return that are compared.
_MOST_PHOTOS = 5
#: Products of a page.
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Likely:
    """What a page shows: products, or why there are none.

    `waits_for` is an image that no worker has looked at yet. `is_embedded`: looks can be compared at all.
    """

    products: Sequence[LikelyProduct] = ()
    waits_for: int | None = None
    fault: str = ""
    is_embedded: bool = True


def can_be_compared(image: ImageResult) -> bool:
    """Whether an image shows an item, as far as is known."""
    is_slip = image.final_source == LabelSource.SLIP
    return image.state == ImageState.CLASSIFIED and image.has_photo and not is_slip


async def of_images(looks: LookClient, images: Sequence[ImageResult]) -> Likely:
    """Return the products that look like the photos of a page."""
    compared = [image for image in images if can_be_compared(image)][:_MOST_PHOTOS]
    vectors: list[bytes] = []
    fault = ""
    try:
        for image in compared:
            look = await looks.of_image(image.id)
            if not look.is_done:
                return Likely(waits_for=image.id)
            if look.vector is not None:
                vectors.append(look.vector)
            fault = fault or _reason(look)
        if not vectors:
            return Likely(fault=fault)
        return Likely(await run_in_threadpool(_like, looks, vectors, SHOWN, ProductFilter(), compared))
    except NothingEmbeddedError:
        return Likely(is_embedded=False)
    except TransientFault as error:
        return Likely(fault=pathless(error.shown))


def _like(
    looks: LookClient,
    vectors: Sequence[bytes],
    count: int,
    wanted: ProductFilter,
    images: Sequence[ImageResult] = (),
) -> list[LikelyProduct]:
    db = looks.db
    space = likely_products.active_space(db)
    predicted = likely_products.categories_of(images)
    return likely_products.like_vectors(looks.search, db, space, vectors, count, wanted, predicted)


async def like_look(
    looks: LookClient,
    look: PhotoLook,
    count: int,
    wanted: ProductFilter,
    images: Sequence[ImageResult] = (),
) -> list[LikelyProduct]:
    """Return the products that look like a photo.

    Raises NoReplyError if no worker has looked at it, RefusedError if it has no vector.
    """
    if not look.is_done:
        raise NoReplyError("No worker has looked at this photo in time.", "Try again later.")
    if look.vector is None:
        raise RefusedError("Products cannot be found by this photo. {reason}", reason=_reason(look))
    return await run_in_threadpool(_like, looks, [look.vector], count, wanted, images)


def _reason(look: PhotoLook) -> str:
    return pathless(retold(look.fault)) if look.fault else ""
