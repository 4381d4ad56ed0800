"""Verdicts on products: likeness, calibration and the rule that both decide by."""

from statistics import NormalDist

import numpy as np
import pytest

from returns_pipeline.languages import use
from returns_pipeline.photos.desk_photos import desk_photo
from returns_pipeline.records.verdicts import ProductFacts, Verdict, VerdictKind, VerdictReason
from returns_pipeline.report import words
from returns_pipeline.usecases.product_calibration import chosen
from returns_pipeline.usecases.product_likeness import Candidate, likeness
from returns_pipeline.verdicts.products import LEAST_ACCEPTED, Calibration, judged_by_product

MATCH, UNSURE = VerdictKind.MATCH, VerdictKind.UNSURE
MISMATCH = VerdictKind.MISMATCH


def facts(likeness: float, other: float, rate: float) -> ProductFacts:
    """Return a comparison of a photo with product A and with product B."""
    return ProductFacts("A", 1, 10, likeness, "B", 20, other, rate)


@pytest.mark.parametrize(
    ("kind", "likeness", "other", "rate", "expected"),
    [
        (MATCH, 0.6, 0.9, 0.02, MISMATCH),
        (MATCH, 0.6, 0.9, 0.021, UNSURE),
        (MATCH, 0.6, 0.9, 0.1, UNSURE),
        (MATCH, 0.6, 0.9, 0.11, MATCH),
        (MATCH, 0.9, 0.6, 0.001, MATCH),
        (MATCH, 0.9, 0.90004, 0.001, MATCH),
        (UNSURE, 0.6, 0.9, 0.02, MISMATCH),
        (UNSURE, 0.6, 0.9, 0.05, UNSURE),
        (MISMATCH, 0.9, 0.6, 0.9, MISMATCH),
        (VerdictKind.REUSED_PHOTO, 0.6, 0.9, 0.001, VerdictKind.REUSED_PHOTO),
        (VerdictKind.UNREADABLE, 0.6, 0.9, 0.001, VerdictKind.UNREADABLE),
    ],
)
def test_the_rule(
    kind: VerdictKind, likeness: float, other: float, rate: float, expected: VerdictKind
) -> None:
    """Another product must be more alike; how rarely right items look so decides how sure that is."""
    before = Verdict(kind, VerdictReason.PROBABLE, 0.97, "shirt", "shirt", 2)
    after = judged_by_product(before, facts(likeness, other, rate), 0.02)
    assert after is not None
    assert after.kind is expected
    says_so = (after.kind, after.sureness) != (before.kind, before.sureness)
    assert (after.reason is VerdictReason.OTHER_PRODUCT) is says_so
    assert (after.found_product == "B") is says_so
    assert (after.expected, after.found) == ("shirt", "shirt")


def test_nothing_changes_without_a_comparison() -> None:
    """A return that waits, or whose product has no picture, keeps the verdict on its category."""
    verdict = Verdict(MATCH, VerdictReason.PROBABLE)
    assert judged_by_product(verdict, None, 0.02) is verdict
    assert judged_by_product(None, facts(0.1, 0.9, 0), 0.02) is None


@pytest.mark.parametrize("photos", [100, 200, 1000])
def test_the_wanted_rate_is_kept(photos: int) -> None:
    """Nine of ten calibrations give at most the wanted share of false alarms, and none gives much more."""
    draw = np.random.default_rng(0)
    alarms = []
    for _ in range(400):
        margins = sorted(draw.normal(size=photos).tolist())
        calibration = Calibration(margins)
        lowest_right = next(margin for margin in margins if calibration.rate(margin) > 0.02)
        alarms.append(NormalDist().cdf(lowest_right))
    assert 0.006 < np.mean(alarms) < 0.016
    assert np.mean(np.array(alarms) > 0.02) < 0.15


def test_few_pictures_find_no_mismatch() -> None:
    """With 80 measured photos no rate is as low as 2 %, so no item is called wrong."""
    assert min(Calibration([0.1] * 80).rate(-1), Calibration([]).rate(-1)) > 0.02
    assert Calibration([0.1] * 81).rate(-1) <= 0.02


def test_accepted_returns_only_make_it_more_careful() -> None:
    """They count from 200 on; a low margin among them is no rare one, a high one changes nothing."""
    altered = [0.1] * 500
    low, high = [-0.5] * LEAST_ACCEPTED, [0.9] * LEAST_ACCEPTED
    alone = Calibration(altered).rate(-0.3)
    assert Calibration(altered, low[1:]).rate(-0.3) == alone
    assert Calibration(altered, low).rate(-0.3) == 1
    assert Calibration(altered, high).rate(-0.3) == pytest.approx(0.0081, abs=0.0001)
    assert Calibration([-0.5] * 500, high).rate(-0.3) == 1


def _vector(degrees: float) -> bytes:
    angle = np.deg2rad(degrees)
    return (np.array([np.cos(angle), np.sin(angle)]) * 127).round().astype(np.int8).tobytes()


def test_the_best_photo_and_the_best_picture_count() -> None:
    """Of several photos the one that speaks most for the product counts, with its most similar picture."""
    pictures = [Candidate(1, 10, _vector(80)), Candidate(1, 11, _vector(2))]
    others = [*pictures, Candidate(2, 21, _vector(45)), Candidate(3, 31, _vector(120))]
    found = likeness([_vector(60), _vector(0)], pictures, lambda _: others)
    assert found is not None
    assert (found.photo, found.picture, found.other.product) == (1, 11, 2)
    assert found.margin == pytest.approx(0.29, abs=0.01)


def test_the_look_counts_more_than_an_attribute() -> None:
    """In a space of parts each part is compared alone, so a short one counts as well as a long one."""
    kind, other_kind = bytes([127, 0]), bytes([0, 127])
    look, other_look = bytes([9, 0]), bytes([0, 9])
    photo = kind + look
    right, wrong = Candidate(1, 10, other_kind + look), Candidate(2, 20, kind + other_look)
    whole, parted = (likeness([photo], [right], lambda _: [wrong], parts) for parts in ((), (2, 2)))
    assert whole is not None
    assert parted is not None
    assert whole.margin < -0.9
    assert parted.margin == pytest.approx((1 - 0.6) / 1.6, abs=0.001)


def test_nothing_to_compare_with() -> None:
    """Without a photo, a picture or another product there is no likeness."""
    pictures = [Candidate(1, 10, _vector(0))]
    assert likeness([], pictures, lambda _: pictures) is None
    assert likeness([_vector(0)], [], lambda _: pictures) is None
    assert likeness([_vector(0)], pictures, lambda _: pictures) is None


def test_a_desk_photo_is_the_same_for_one_draw() -> None:
    """The same draw alters a picture in the same way, another one in another way; the item stays in place."""
    picture = np.full((96, 96, 3), 255, np.uint8)
    picture[32:64, 32:64] = (200, 30, 30)
    photos = [desk_photo(picture, np.random.default_rng(seed)) for seed in (0, 0, *range(1, 20))]
    assert np.array_equal(photos[0], photos[1])
    assert len({photo.tobytes() for photo in photos}) == 20
    for photo in photos:
        assert (photo.shape, str(photo.dtype)) == ((96, 96, 3), "uint8")
        red, green, blue = photo[44:52, 44:52].reshape(-1, 3).mean(axis=0)
        assert red > 2 * max(green, blue)


@pytest.mark.parametrize(("count", "photos"), [(0, 0), (1, 8), (10, 80), (999, 1000), (100_000, 1000)])
def test_altered_pictures_are_spread(count: int, photos: int) -> None:
    """A small catalogue has several photos of each picture; of a large one, each part is there."""
    places = chosen(count)
    assert len(places) == photos
    assert not places or (places[0] == 0 and count - 1 - places[-1] <= count / photos)


def test_the_sentence_says_what_and_how_sure() -> None:
    """It names both products, how alike they look and how rare that is, in the reader's language."""
    verdict = judged_by_product(Verdict(MATCH, VerdictReason.PROBABLE), facts(0.61, 0.93, 0.012), 0.02)
    assert verdict is not None
    first, second = words.verdict(verdict)
    assert all(each in first for each in ("product A", "61 %", "93 %", "product B", "1.2 %"))
    assert "altered pictures" in second
    with use("de"):
        assert "Produkt A" in words.verdict(verdict)[0]
    measured = verdict._replace(product=facts(0.61, 0.93, 0.012)._replace(accepted=200))
    assert len(words.verdict(measured)) == 1
