"""How much a photo of the right product looks like it: measured on altered pictures of the catalogue."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import structlog

from returns_pipeline.catalogue.pictures import read_picture
from returns_pipeline.classify.spaces.embedder import Embedder
from returns_pipeline.errors import ImageFault
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.photos.desk_photos import desk_photo
from returns_pipeline.records.embedding import SpaceRow
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import product_calibrations, product_comparisons, product_images, spaces
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.product_likeness import Nearest, likeness
from returns_pipeline.usecases.product_search import ProductSearch
from returns_pipeline.verdicts.products import Calibration

if TYPE_CHECKING:
    from numpy.typing import NDArray

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Photos that are measured, and most of one picture: a small catalogue has several of each.
PHOTOS, _MOST_OF_ONE = 500, 8
#: A share by which the catalogue grows or shrinks before it is measured again.
_GROWTH = 0.25
#: Seconds after which another process measures what one has begun.
_SECONDS = 600.0


class CalibratingElsewhereError(Exception):
    """Another process measures the space now."""


def current(context: Context, space: SpaceRow, embedder: Embedder, search: ProductSearch) -> Calibration:
    """Return the calibration of the active space, measured now if there is none or the catalogue has changed.

    Raises CalibratingElsewhereError if there is none and another process measures it.
    """
    db = context.db
    accepted = product_comparisons.accepted_margins(db, space.id)
    known = product_calibrations.find(db, space.id)
    count = spaces.count(db, space.id)
    if known and abs(known[0] - count) <= _GROWTH * known[0]:
        return Calibration(known[1], accepted)
    if not product_calibrations.begin(db, space.id, _SECONDS):
        if known:
            return Calibration(known[1], accepted)
        raise CalibratingElsewhereError
    found = sorted(_measured(context, space, embedder, search))
    product_calibrations.save(db, space.id, count, found)
    log.info("products_calibrated", space=str(space.ref), photos=len(found))
    # Other processes have left their returns meanwhile.
    context.send(Task.COMPARE_RETURNS)
    return Calibration(found, accepted)


def chosen(count: int, photos: int = PHOTOS) -> list[int]:
    """Return the places of pictures that are altered, evenly chosen; one that is there twice, twice."""
    wanted = min(photos, _MOST_OF_ONE * count)
    places: list[int] = np.linspace(0, count, wanted, endpoint=False).astype(int).tolist()
    return places


def _measured(
    context: Context, space: SpaceRow, embedder: Embedder, search: ProductSearch
) -> Iterable[float]:
    """Yield the margins of altered pictures of the catalogue."""
    ids, _ = spaces.vectors(context.db, space.id)
    limits = Limits.of(context.settings)
    nearest = partial(search.like_vector, space)
    for number, place in enumerate(chosen(len(ids))):
        picture = product_images.find(context.db, ids[place])
        if picture is None or picture.folder is None:
            continue
        try:
            data = read_picture(picture.folder, picture.address, limits.max_bytes)
            pixels = decode(data, embedder.space.input, limits).pixels
        except ImageFault:
            continue
        own = spaces.vectors_of(context.db, space.id, picture.product)
        margin = altered_margin(embedder, pixels, number, picture.product, own, nearest)
        if margin is not None:
            yield margin


def altered_margin(
    embedder: Embedder,
    pixels: "NDArray[np.uint8]",
    seed: int,
    product: int,
    pictures: Sequence[tuple[int, bytes]],
    nearest: Nearest,
) -> float | None:
    """Return the margin of a picture uint8 [h, w, 3] that is altered; None without other products."""
    photo = desk_photo(pixels, np.random.default_rng(seed))
    found = likeness([embedder.embed(photo[None])[0].tobytes()], product, pictures, nearest)
    return found.margin if found else None
