"""The verdict on one return, from facts alone."""

import numpy as np

from returns_pipeline.records.reviews import ReviewOutcome
from returns_pipeline.records.text import label_key
from returns_pipeline.records.verdicts import (
    Expected,
    ExpectedKind,
    LabelSpace,
    PhotoFacts,
    ReturnFacts,
    Verdict,
    VerdictKind,
    VerdictReason,
    VerdictThresholds,
)
from returns_pipeline.verdicts.fusing import completed, fuse
from returns_pipeline.verdicts.rates import main_probabilities
from returns_pipeline.verdicts.thresholds import KINDS, kind_codes

#: Outcomes of a review that say nothing about the item.
_NOTHING = {ReviewOutcome.UNREADABLE, ReviewOutcome.RETAKE}


def verdict_of(facts: ReturnFacts, space: LabelSpace, thresholds: VerdictThresholds) -> Verdict | None:
    """Return the verdict on a return; None while its photos may still come.

    The first of these that applies decides: it was not announced; no photo of it came; one of its photos is
    of an earlier return; none of its photos is readable; people labelled photos of it; the fused
    probabilities of its photos. Slips count for nothing. `space` and `thresholds` are those of the model
    that predicted.
    """
    name = facts.expected.name if facts.expected else ""
    photos = [photo for photo in facts.photos if not photo.slip]
    if not facts.announced:
        return Verdict(VerdictKind.UNEXPECTED, VerdictReason.NOT_ANNOUNCED, photos=len(photos))
    if not photos:
        if not facts.overdue:
            return None
        return Verdict(VerdictKind.NO_PHOTO, VerdictReason.NOTHING_CAME, expected=name)
    reused = [photo for photo in photos if photo.reused]
    if reused:
        return Verdict(
            VerdictKind.REUSED_PHOTO,
            VerdictReason.SEEN_BEFORE,
            expected=name,
            photos=len(reused),
            earlier=tuple(dict.fromkeys(photo.earlier for photo in reused if photo.earlier)),
        )
    shown = [
        photo
        for photo in photos
        if photo.person_label not in _NOTHING and (photo.top or photo.person_label is not None)
    ]
    if not shown:
        return Verdict(
            VerdictKind.UNREADABLE, VerdictReason.NOTHING_READABLE, expected=name, photos=len(photos)
        )
    reviewed = [photo.person_label for photo in shown if photo.person_label is not None]
    if reviewed:
        return _by_people(facts.expected, reviewed, space)
    return _by_probability(facts.expected, shown, space, thresholds)


def _by_people(expected: Expected | None, labels: list[str], space: LabelSpace) -> Verdict:
    """Return the verdict that people's labels decide; each counts as its main category if one is expected."""
    if expected is not None and expected.kind is ExpectedKind.MAIN:
        mains = dict(zip(space.labels, space.main_categories, strict=True))
        labels = [mains.get(label, label) for label in labels]
    if expected is None:
        return Verdict(VerdictKind.UNSURE, VerdictReason.NO_CATEGORY, found=labels[0], photos=len(labels))
    others = [label for label in labels if label_key(label) != label_key(expected.name)]
    found = others[0] if others else expected.name
    kind, reason = VerdictKind.MATCH, VerdictReason.REVIEWED
    if others:
        agree = len(others) == len(labels)
        kind = VerdictKind.MISMATCH if agree else VerdictKind.UNSURE
        reason = VerdictReason.REVIEWED if agree else VerdictReason.REVIEWS_DIFFER
    return Verdict(kind, reason, expected=expected.name, found=found, photos=len(labels))


def _by_probability(
    expected: Expected | None, photos: list[PhotoFacts], space: LabelSpace, thresholds: VerdictThresholds
) -> Verdict:
    """Return the verdict that the probabilities of familiar photos decide.

    An unfamiliar photo says nothing about the item, and nothing matches while a return has one.
    """
    familiar = [photo for photo in photos if not photo.unfamiliar]
    strange = len(photos) - len(familiar)
    if not familiar:
        return _unfamiliar(expected, strange)
    found = _by_familiar(expected, familiar, space, thresholds)
    return _unfamiliar(expected, strange) if strange and found.kind is VerdictKind.MATCH else found


def _unfamiliar(expected: Expected | None, photos: int) -> Verdict:
    name = expected.name if expected else ""
    return Verdict(VerdictKind.UNSURE, VerdictReason.UNFAMILIAR, expected=name, photos=photos)


def _by_familiar(
    expected: Expected | None, photos: list[PhotoFacts], space: LabelSpace, thresholds: VerdictThresholds
) -> Verdict:
    fused = fuse(np.stack([completed(photo.top, len(space.labels)) for photo in photos]))
    names, chosen = list(space.labels), thresholds.label
    if expected is not None and expected.kind is ExpectedKind.MAIN:
        of_mains, _, names = main_probabilities(fused[None], space.main_categories)
        fused, chosen = of_mains[0], thresholds.main
    found = names[int(fused.argmax())]
    if expected is None:
        return Verdict(VerdictKind.UNSURE, VerdictReason.NO_CATEGORY, found=found, photos=len(photos))
    place = next(
        (index for index, name in enumerate(names) if label_key(name) == label_key(expected.name)), None
    )
    if place is None or expected.kind is ExpectedKind.UNKNOWN:
        return Verdict(
            VerdictKind.UNSURE,
            VerdictReason.UNKNOWN_CATEGORY,
            expected=expected.name,
            found=found,
            photos=len(photos),
        )
    kind = KINDS[int(kind_codes(fused[None], np.array([place]), chosen)[0])]
    chance = float(fused[place])
    return Verdict(
        kind,
        VerdictReason.PROBABLE,
        sureness=1 - chance if kind is VerdictKind.MISMATCH else chance,
        expected=names[place],
        found=found,
        photos=len(photos),
        measured=chosen.measured,
    )
