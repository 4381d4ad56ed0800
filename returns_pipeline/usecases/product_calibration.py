"""How much a photo of the right product looks like it: measured on altered pictures of the catalogue."""

import math
import time

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
#: Seconds of one message, so that a process is free for people in between.
_AT_ONCE_SECONDS = 2.0
#: Seconds after which another process measures what one has begun.
_SECONDS = 600.0


class NotCalibratedError(Exception):
    """The space is being measured: by another process, or in the next message."""


def current(context: Context, space: SpaceRow, embedder: Embedder, looks: CatalogueLooks) -> Calibration:
    """Return the calibration of the active space, measured now if there is none or the catalogue has changed.

    A call measures for some seconds only. Raises NotCalibratedError until the first one is whole.
    """
    db = context.db
    accepted = product_comparisons.accepted_margins(db, space.id)
    known = product_calibrations.find(db, space.id)
    count = spaces.count(db, space.id)
    if known and abs(known[0] - count) <= _GROWTH * known[0]:
        return Calibration(known[1], accepted)
    partial = product_calibrations.begin(db, space.id, _SECONDS)
    if partial is not None:
        partial += _measured(context, space, embedder, looks, len(partial))
        if len(partial) < len(chosen(count)):
            product_calibrations.pause(db, space.id, partial)
        else:
            found = sorted(each for each in partial if not math.isnan(each))
            product_calibrations.save(db, space.id, count, found)
            log.info("products_calibrated", space=str(space.ref), photos=len(found))
            known = count, found
        # The next message goes on, and compares what other processes have left meanwhile.
        context.send(Task.COMPARE_RETURNS)
    if known is None:
        raise NotCalibratedError
    return Calibration(known[1], accepted)


def chosen(count: int, photos: int = PHOTOS) -> list[int]:
    """Return the places of pictures that are altered, evenly chosen; one that is there twice, twice."""
    wanted = min(photos, _MOST_OF_ONE * count)
    places: list[int] = np.linspace(0, count, wanted, endpoint=False).astype(int).tolist()
    return places


def _measured(
    context: Context, space: SpaceRow, embedder: Embedder, looks: CatalogueLooks, start: int
) -> list[float]:
    """Return margins of altered pictures of the catalogue from the photo `start` on, for some seconds.

    NaN for a picture that cannot be read.
    """
    db, limits = context.db, Limits.of(context.settings)
    ids = [picture_id for picture_id, _ in spaces.vectors(db, space.id)]
    until = time.monotonic() + _AT_ONCE_SECONDS
    found: list[float] = []
    for number, place in enumerate(chosen(len(ids))[start:], start):
        found.append(math.nan)
        picture = product_images.find(db, ids[place])
        item = products.by_rows(db, [picture.product]).get(picture.product) if picture else None
        if picture is not None and picture.folder is not None and item is not None:
            try:
                data = read_picture(picture.folder, picture.address, limits.max_bytes)
                pixels = decode(data, embedder.space.input, limits).pixels
            except ImageFault:
                continue
            photo = desk_photo(pixels, np.random.default_rng(number))
            vector = embedder.embed(photo[None])[0].tobytes()
            likeness = looks.likeness([vector], item, looks.pictures(item.id))
            found[-1] = likeness.margin if likeness else math.nan
        if time.monotonic() > until:
            break
    return found
