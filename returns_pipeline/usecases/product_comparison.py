"""Compares the photos of returns with the expected product, after the night. Each step may run twice.

A return waits in a table. Its photos get their vectors, are compared with the product's pictures and with all
other products, and the result is stored in the transaction that has the return judged again.
"""

import time
from typing import NamedTuple

import structlog

from returns_pipeline.errors import ConfigFault, PipelineError
from returns_pipeline.records.embedding import SpaceRow
from returns_pipeline.records.tasks import Task
from returns_pipeline.records.verdicts import ProductFacts
from returns_pipeline.store import (
    photo_looks,
    product_comparisons,
    products,
    retention,
    return_verdicts,
    spaces,
)
from returns_pipeline.store.product_comparisons import Claim, Comparison
from returns_pipeline.usecases import embedding, product_calibration
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.photo_looks import look
from returns_pipeline.usecases.product_likeness import CatalogueLooks
from returns_pipeline.usecases.product_search import ProductSearch
from returns_pipeline.verdicts.products import Calibration

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Seconds after which a task sends the next one, so that a process is free for people in between.
_TASK_SECONDS = 2.0


class _Tools(NamedTuple):
    """What photos are compared by."""

    space: SpaceRow
    looks: CatalogueLooks
    calibration: Calibration


def compare_returns(context: Context) -> None:
    """Compare the returns that wait for it. Sends itself again if there are too many.

    Does nothing while a night is open, or until the space is calibrated; the sweep sends it
    again.
    """
    if not product_comparisons.is_waiting(context.db) or retention.night_is_open(context.db):
        return
    try:
        tools = _tools(context)
    except ConfigFault as fault:
        log.warning("returns_not_compared", reason=str(fault))
        return
    except product_calibration.NotCalibratedError:
        return
    until, compared, is_late = time.monotonic() + _TASK_SECONDS, 0, False
    while not is_late and (held := product_comparisons.claim(context.db, context.settings.lease_seconds)):
        try:
            found = _compared(context, tools, held)
        except PipelineError:
            product_comparisons.release(context.db, held)
            raise
        compared += product_comparisons.store(context.db, held, found)
        is_late = time.monotonic() > until
    if compared:
        log.info("returns_compared", returns=compared)
        context.send(Task.JUDGE_RETURNS)
    if is_late:
        context.send(Task.COMPARE_RETURNS)


def send_if_lost(context: Context) -> None:
    """Send the task again if a return has waited for long and no process compares it: for the sweep."""
    settings = context.settings
    if product_comparisons.is_lost(context.db, settings.lease_seconds, settings.resend_seconds):
        context.queue.send(Task.COMPARE_RETURNS)


def _tools(context: Context) -> _Tools | None:
    """Return what photos are compared by; None without a space.

    Raises ConfigFault if this machine lacks the space, NotCalibratedError.
    """
    space = spaces.active(context.db)
    if space is None:
        return None
    embedder = embedding.embedder_of(context, space)
    search = ProductSearch(context.settings, context.db)
    looks = CatalogueLooks(context.db, search, space, embedder.space.parts)
    return _Tools(space, looks, product_calibration.current(context, space, embedder, looks))


def _compared(context: Context, tools: _Tools | None, held: Claim) -> Comparison:
    """Return how the photos of a return compare; without facts if they or the product have no vector."""
    db = context.db
    with db.read() as connection:
        photos = return_verdicts.photos_of(connection, [held.return_id])[held.return_id]
    image_ids = return_verdicts.comparable(photos)
    nothing = Comparison(held.product, image_ids, tools.space.id if tools else None)
    if held.attempt > context.settings.max_attempts:
        log.warning("return_given_up", return_id=held.return_id)
        return nothing
    item = products.find(db, held.product) if held.product and tools else None
    pictures = tools.looks.pictures(item.id) if tools and item else []
    if tools is None or item is None or not pictures:
        return nothing
    vectors = {each: vector for each in image_ids if (vector := _vector(context, tools.space, each))}
    found = tools.looks.likeness(list(vectors.values()), item, pictures)
    other = products.by_rows(db, [found.other.product]).get(found.other.product) if found else None
    if found is None or other is None:
        return nothing
    facts = ProductFacts(
        item.product_id,
        list(vectors)[found.photo],
        found.picture,
        found.value,
        other.product_id,
        found.other.picture,
        found.other_value,
        tools.calibration.rate(found.margin),
        tools.calibration.counted,
    )
    return nothing._replace(facts=facts)


def _vector(context: Context, space: SpaceRow, image_id: int) -> bytes | None:
    """Return the vector of a photo, computed here if there is none yet; None if there can be none."""
    asked = photo_looks.of_image(context.db, space.id, image_id)
    if not asked.is_done:
        look(context, asked.id)
        asked = photo_looks.find(context.db, asked)
    return asked.vector
