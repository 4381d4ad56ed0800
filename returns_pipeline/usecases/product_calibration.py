"""How much a photo of the right product looks like it: measured on altered pictures of the catalogue."""

from collections.abc import Iterator

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
from returns_pipeline.store import product_calibrations, product_comparisons, product_images, products, spaces
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.product_likeness import CatalogueLooks
from returns_pipeline.verdicts.products import Calibration

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Photos that are measured, and most of one picture: a small catalogue has several of each.
PHOTOS, _MOST_OF_ONE = 1000, 8
#: A share by which the catalogue grows or shrinks before it is measured again.
_GROWTH = 0.25
#: Seconds after which another process measures what one has begun.
_SECONDS = 600.0


class CalibratingElsewhereError(Exception):
    """Another process measures the space now."""


def current(context: Context, space: SpaceRow, embedder: Embedder, looks: CatalogueLooks) -> Calibration:
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
    found = sorted(_measured(context, space, embedder, looks))
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
    context: Context, space: SpaceRow, embedder: Embedder, looks: CatalogueLooks
) -> Iterator[float]:
    """Yield the margins of altered pictures of the catalogue."""
    db, limits = context.db, Limits.of(context.settings)
    ids, _ = spaces.vectors(db, space.id)
    for number, place in enumerate(chosen(len(ids))):
        picture = product_images.find(db, ids[place])
        item = products.by_rows(db, [picture.product]).get(picture.product) if picture else None
        if picture is None or picture.folder is None or item is None:
            continue
        try:
            data = read_picture(picture.folder, picture.address, limits.max_bytes)
            pixels = decode(data, embedder.space.input, limits).pixels
        except ImageFault:
            continue
        photo = desk_photo(pixels, np.random.default_rng(number))
        found = looks.likeness([embedder.embed(photo[None])[0].tobytes()], item, looks.pictures(item.id))
        if found is not None:
            yield found.margin
