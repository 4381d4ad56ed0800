"""Judges returns: verdicts from their photos, for those whose facts have changed. May run twice."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple

import structlog

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.records.returns import EarlierPhoto, Return
from returns_pipeline.records.tasks import Task
from returns_pipeline.records.verdicts import (
    LabelSpace,
    PhotoFacts,
    ProductFacts,
    ReturnFacts,
    VerdictThresholds,
)
from returns_pipeline.settings import Settings
from returns_pipeline.store import photo_matches, product_comparisons, return_verdicts, returns, spaces
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.product_comparisons import Comparison
from returns_pipeline.store.return_verdicts import ReturnPhoto
from returns_pipeline.usecases import model_store
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.reviews import BundleLookup
from returns_pipeline.verdicts.deciding import verdict_of
from returns_pipeline.verdicts.products import judged_by_product
from returns_pipeline.verdicts.thresholds import thresholds_of

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Returns that one transaction judges.
_TOGETHER = 200
#: Without a model: a return without photos needs none.
_NO_SPACE = LabelSpace((), ())


def judge_queued(context: Context, seconds: float | None = None) -> int:
    """Judge every return that is queued; return how many. A process that is killed leaves the rest queued.

    After `seconds`, a task judges the rest. A return whose model is missing on this machine stays queued, and
    the log says so.
    """
    done = judge_all(context.settings, context.db, seconds)
    if done.is_told:
        context.send(Task.DELIVER_NOTICES)
    if done.is_unfinished:
        context.send(Task.JUDGE_RETURNS)
    if done.is_to_compare:
        context.send(Task.COMPARE_RETURNS)
    return done.returns


def judge_all(settings: Settings, db: Database, seconds: float | None = None) -> "Judged":
    """Judge queued returns, at most for `seconds`; the sweep has the others judged. Needs no queue."""
    until = None if seconds is None else time.monotonic() + seconds
    bundle_of = cache(lambda name: model_store.find(settings, name))
    total = Judged()
    while (some := _judge(settings, db, bundle_of)).returns:
        is_late = until is not None and time.monotonic() > until
        total = Judged(
            total.returns + some.returns,
            total.without_model + some.without_model,
            is_told=total.is_told or some.is_told,
            is_to_compare=total.is_to_compare or some.is_to_compare,
            is_unfinished=is_late,
        )
        # Without their model they are queued again, so another round would find them first.
        if is_late or some.without_model:
            break
    if total.returns:
        log.info("returns_judged", returns=total.returns, without_model=total.without_model)
    return total


def judge_now(context: Context, bundle_of: BundleLookup) -> None:
    """Judge the returns that a person's request has queued, within the request; a task judges the rest.

    Costs one query of an empty table if nothing is queued.
    """
    try:
        if not returns.is_queued(context.db):
            return
        done = _judge(context.settings, context.db, bundle_of)
        if done.is_told:
            context.send(Task.DELIVER_NOTICES)
        if done.is_to_compare:
            context.send(Task.COMPARE_RETURNS)
        if returns.is_queued(context.db):
            context.send(Task.JUDGE_RETURNS)
    except TransientFault as fault:
        # What the person did is stored; the sweep has the returns judged.
        log.warning("left_to_the_sweep", reason=fault.message)


def send_if_queued(context: Context, now: datetime) -> None:
    """Queue the returns that are overdue, and send the task if a return is queued: for the sweep."""
    return_verdicts.queue_overdue(context.db, now)
    if returns.is_queued(context.db):
        context.send(Task.JUDGE_RETURNS)


class Judged(NamedTuple):
    """How many returns were taken from the queue, and how many were put back because their model is missing.

    `is_told`: notices are to be delivered. `is_unfinished`: the time was over first. `is_to_compare`: photos
    of returns are to be compared with the expected product.
    """

    returns: int = 0
    without_model: int = 0
    is_told: bool = False
    is_unfinished: bool = False
    is_to_compare: bool = False


def _judge(settings: Settings, db: Database, bundle_of: BundleLookup) -> Judged:
    """Judge some queued returns in one transaction."""
    now = utc_now()
    notices, without_model, uncompared = [], [], []
    with db.write() as connection:
        ids = returns.take_queued(connection, _TOGETHER)
        if not ids:
            return Judged()
        found = return_verdicts.lock(connection, ids)
        photos = return_verdicts.photos_of(connection, ids)
        reused = photo_matches.earlier_photos(
            connection, [photo.image_id for some in photos.values() for photo in some]
        )
        compared = product_comparisons.of_returns(connection, [each.id for each in found if each.product])
        judge = _Judge(bundle_of, settings.false_alarms, now)
        for each in found:
            if each.customer_removed_at and each.verdict:
                # Its photos are deleted; its verdict stays, so that counts stand.
                continue
            try:
                facts, space, thresholds = judge.facts(each, photos[each.id], reused)
            except ConfigFault as fault:
                log.warning("return_not_judged", number=each.number, reason=fault.message)
                without_model.append(each.id)
                continue
            of_product, is_current = _of_product(each, photos[each.id], compared.get(each.id))
            if not is_current:
                uncompared.append(each.id)
            verdict = judged_by_product(
                verdict_of(facts, space, thresholds), of_product, settings.false_alarms
            )
            notice = return_verdicts.write(connection, each, verdict, now)
            if notice:
                notices.append(notice)
        return_verdicts.tell(connection, notices)
        returns.queue(connection, without_model)
        is_to_compare = bool(uncompared) and spaces.is_any_active(connection)
        if is_to_compare:
            product_comparisons.queue(connection, uncompared)
    return Judged(len(ids), len(without_model), is_told=bool(notices), is_to_compare=is_to_compare)


def _of_product(
    item: Return, photos: Sequence[ReturnPhoto], known: Comparison | None
) -> tuple[ProductFacts | None, bool]:
    """Return how a return's photos compare with its product, as far as is known, and whether that is all.

    A comparison of some of the photos counts until all are compared, so that the verdict does not change
    twice.
    """
    image_ids = return_verdicts.comparable(photos)
    if not item.product or not image_ids:
        return None, True
    if known is None or known.product != item.product:
        return None, False
    facts = known.facts if known.facts and known.facts.image in image_ids else None
    return facts, known.images == image_ids


class _Judge:
    """Makes facts of photos. One for each transaction; reads the rates of each model once."""

    def __init__(self, bundle_of: BundleLookup, false_alarms: float, now: datetime) -> None:
        self._bundle_of, self._now = bundle_of, now
        self._thresholds = cache(lambda name: _thresholds(bundle_of(name), false_alarms))

    def facts(
        self, found: Return, photos: Sequence[ReturnPhoto], reused: Mapping[int, EarlierPhoto]
    ) -> tuple[ReturnFacts, LabelSpace, VerdictThresholds]:
        """Return what decides the verdict on a return.

        The model is that of the newest photo with a prediction. `reused` has the earlier photo of each image
        that came before with another return, unless a person has dismissed that. Raises ConfigFault if a
        model is missing.
        """
        newest = next((photo for photo in reversed(photos) if photo.top), None)
        bundle = self._bundle(newest) if newest else None
        facts = tuple(
            PhotoFacts(
                self._top(photo, bundle) if bundle else (),
                photo.person_label,
                slip=photo.is_slip,
                unfamiliar=photo.is_unfamiliar,
                reused=photo.image_id in reused,
                earlier=reused[photo.image_id].earlier_number if photo.image_id in reused else None,
            )
            for photo in photos
        )
        overdue = found.due_at is not None and found.due_at <= self._now
        of_return = ReturnFacts(found.announced_on is not None, found.expected, facts, overdue)
        if newest is None or bundle is None:
            nothing = thresholds_of(_NO_SPACE, None, None, 0.5)
            return of_return, _NO_SPACE, nothing
        return of_return, _space(bundle), self._thresholds(newest.model)

    def _bundle(self, photo: ReturnPhoto) -> Bundle:
        bundle = self._bundle_of(photo.model)
        if bundle.digest != photo.model_sha256:
            raise ConfigFault(
                "The bundle {name} is not the one that predicted.",
                "Give every worker the same bundles; a changed one needs a new version number.",
                name=photo.model,
            )
        return bundle

    def _top(self, photo: ReturnPhoto, bundle: Bundle) -> tuple[tuple[int, float], ...]:
        """Return a photo's probabilities by the labels of `bundle`, which may be another version."""
        if not photo.top or photo.model == str(bundle.ref):
            return photo.top
        labels = self._bundle(photo).labels
        places = {label: index for index, label in enumerate(bundle.labels)}
        return tuple(
            (places[labels[index]], chance) for index, chance in photo.top if labels[index] in places
        )


def _space(bundle: Bundle) -> LabelSpace:
    return LabelSpace(bundle.labels, bundle.main_categories)


def _thresholds(bundle: Bundle, false_alarms: float) -> VerdictThresholds:
    return thresholds_of(_space(bundle), bundle.label_rates, bundle.main_rates, false_alarms)
