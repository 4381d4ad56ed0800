"""Verdicts: fused probabilities, thresholds for a wanted rate of false alarms, the verdict from facts."""

import json
import math
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from returns_pipeline.classify.bundle import MANIFEST, load_bundle
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.reviews import ReviewOutcome
from returns_pipeline.records.verdicts import (
    Expected,
    ExpectedKind,
    LabelSpace,
    PhotoFacts,
    ReturnFacts,
    Thresholds,
    Verdict,
    VerdictKind,
    VerdictReason,
    VerdictThresholds,
)
from returns_pipeline.report import words
from returns_pipeline.training.evaluation import verdicts
from returns_pipeline.verdicts.deciding import verdict_of
from returns_pipeline.verdicts.fusing import completed, effective_photos, fuse
from returns_pipeline.verdicts.rates import HIGHEST_RATE, MOST_STEPS, expectation_rates, main_probabilities
from returns_pipeline.verdicts.thresholds import KINDS, choose, kind_codes, thresholds_of
from tests.support import write_stub_bundle

SPACE = LabelSpace(("dress", "shirt", "t-shirt", "shoes"), ("body", "upper", "upper", "feet"))
MEASURED = VerdictThresholds(Thresholds(0.05, 0.4, measured=True), Thresholds(0.1, 0.5, measured=True))
DRESS = Expected(ExpectedKind.LABEL, "dress")
UPPER = Expected(ExpectedKind.MAIN, "upper")

_weights = st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda weights: sum(weights) > 0.1)


def distribution(weights: list[float]) -> NDArray[np.float64]:
    """Return weights divided by their sum."""
    return np.array(weights) / sum(weights)


def photo(*probabilities: float, **facts: bool | str) -> PhotoFacts:
    """Return a photo with these probabilities of the four labels."""
    top = sorted(enumerate(probabilities), key=lambda pair: -pair[1])
    return PhotoFacts(tuple(top), **facts)  # type: ignore[arg-type]


def decide(expected: Expected | None, *photos: PhotoFacts, **facts: bool) -> Verdict | None:
    """Return the verdict on an announced return."""
    return verdict_of(
        ReturnFacts(expected=expected, photos=photos, **{"announced": True, **facts}), SPACE, MEASURED
    )


def drawn(count: int, seed: int, labels: int = 5) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return truth and probabilities that are wrong now and then, as those of a trained model."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, labels, count)
    logits = random.normal(0, 1, (count, labels))
    logits[np.arange(count), truth] += random.normal(4, 2, count)
    chances = np.exp(logits)
    return truth, chances / chances.sum(axis=1, keepdims=True)


def test_nothing_matches_while_a_photo_is_unfamiliar() -> None:
    """Its probabilities count for nothing: a person decides, unless other photos show another item."""
    sure, strange = photo(1, 0, 0, 0), photo(1, 0, 0, 0, unfamiliar=True)
    for photos in ([strange], [sure, strange], [strange, sure]):
        verdict = decide(DRESS, *photos)
        assert verdict is not None
        assert (verdict.kind, verdict.reason) == (VerdictKind.UNSURE, VerdictReason.UNFAMILIAR)
        assert verdict.photos == 1
        assert "unlike anything" in words.verdict(verdict)[0]
    other = decide(DRESS, photo(0, 0, 0, 1), strange)
    assert other is not None
    assert (other.kind, other.reason) == (VerdictKind.MISMATCH, VerdictReason.PROBABLE)
    seen = decide(DRESS, photo(1, 0, 0, 0, unfamiliar=True, person_label="dress"))
    assert seen is not None
    assert seen.kind is VerdictKind.MATCH


@given(st.lists(_weights, min_size=1, max_size=5), st.floats(0, 1), st.randoms())
def test_fusing_is_free_of_order(rows: list[list[float]], correlation: float, random: Random) -> None:
    """The same photos in any order have the same distribution, bit for bit, and it sums to 1."""
    photos = np.stack([distribution(row) for row in rows])
    order = list(range(len(rows)))
    random.shuffle(order)
    fused = fuse(photos, correlation)
    assert fused.tolist() == fuse(photos[order], correlation).tolist()
    assert fused.sum() == pytest.approx(1)


@given(_weights, st.integers(1, 6))
def test_the_same_photo_again_is_no_evidence_if_photos_depend_fully(weights: list[float], count: int) -> None:
    """With correlation 1, copies of a photo say what one says; with less they are surer."""
    one = distribution(weights)
    copies = np.tile(one, (count, 1))
    assert fuse(copies, 1.0) == pytest.approx(one, abs=1e-3)
    assert fuse(copies, 0.0).max() >= one.max() - 1e-3


def test_fusing_is_the_product_of_experts() -> None:
    """Against numbers worked out by hand, for independent, dependent and half dependent photos."""
    rows = np.array([[0.8, 0.2], [0.6, 0.4]])
    assert fuse(rows, 0.0)[0] == pytest.approx(0.48 / 0.56, abs=1e-3)
    assert fuse(rows, 1.0)[0] == pytest.approx(
        math.sqrt(0.48) / (math.sqrt(0.48) + math.sqrt(0.08)), abs=1e-3
    )
    assert fuse(rows)[0] == pytest.approx(1 / (1 + (0.08 / 0.48) ** (2 / 3)), abs=1e-3)
    assert [effective_photos(4, correlation) for correlation in (0.0, 0.5, 1.0)] == [4, 1.6, 1]
    assert fuse(rows[:1]).tolist() == [0.8, 0.2]


def test_one_photo_of_something_else_vetoes_nothing() -> None:
    """A label with probability 0 in one photo of three is still the most probable one."""
    fused = fuse(np.array([[0.99, 0.005, 0.005], [0.99, 0.005, 0.005], [0.0, 0.9, 0.1]]))
    assert fused.argmax() == 0
    assert fused[0] > 0.5


def test_a_stored_prediction_is_completed() -> None:
    """What the stored labels leave goes evenly to the others; rounding does no harm."""
    assert completed(((1, 0.7), (0, 0.1)), 4) == pytest.approx([0.1, 0.7, 0.1, 0.1])
    assert completed(((1, 1.000001),), 2) == pytest.approx([0, 1])
    assert completed((), 2) == pytest.approx([0.5, 0.5])


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.05, 0.1]), st.sampled_from([60, 150, 400]))
def test_thresholds_keep_the_wanted_rate(seed: int, wanted: float, images: int) -> None:
    """On exchangeable data, the mean rates of false alarms and of missed items are at most the wanted one."""
    alarms, missed, repeats = 0.0, 0.0, 60
    for repeat in range(repeats):
        truth, chances = drawn(images + 300, (seed + repeat) % 2**32)
        chosen = choose(expectation_rates(truth[:images], chances[:images]), 5, wanted)
        found = verdicts.outcome_of_every_swap(
            truth[images:], verdicts.judge_every_swap(chances[images:], chosen)
        )
        alarms += (found.false_alarms.value or 0) / repeats
        missed += (found.missed.value or 0) / repeats
    # Three standard errors of the mean: of the threshold and of the 300 judged items.
    error = 3 * math.sqrt(wanted * (1 / images + 1 / 300) / repeats)
    assert alarms <= wanted + error
    assert missed <= wanted + error


def test_thresholds_use_up_the_wanted_rate() -> None:
    """With many images the rate of false alarms is the wanted one, not far below it."""
    truth, chances = drawn(40_000, 1)
    chosen = choose(expectation_rates(truth[:20_000], chances[:20_000]), 5, 0.02)
    codes = verdicts.judge_every_swap(chances[20_000:], chosen)
    found = verdicts.outcome_of_every_swap(truth[20_000:], codes)
    assert 0.015 < (found.false_alarms.value or 0) < 0.024
    assert chosen.measured


@given(_weights, st.integers(0, 3), st.floats(0, 5), st.floats(0, 1), st.floats(0, 1))
def test_more_probability_never_makes_the_verdict_worse(
    weights: list[float], expected: int, more: float, first: float, second: float
) -> None:
    """Raising the expected category never turns a match into unsure, nor either into a mismatch."""
    chosen = Thresholds(min(first, second), max(first, second), measured=True)
    raised = list(weights)
    raised[expected] += more
    before, after = (
        int(kind_codes(distribution(row)[None], np.array([expected]), chosen)[0]) for row in (weights, raised)
    )
    assert after >= before
    assert KINDS[2] is VerdictKind.MATCH


@pytest.mark.parametrize("wanted", [0.001, 0.02, 0.2])
def test_without_rates_the_thresholds_are_conservative(wanted: float) -> None:
    """Right items of a calibrated model have at most the wanted rate of false alarms; that is stated."""
    random = np.random.default_rng(3)
    chances = random.dirichlet(np.full(6, 0.3), size=20_000)
    truth = (chances.cumsum(axis=1) < random.random((20_000, 1))).sum(axis=1).clip(0, 5)
    few = expectation_rates(truth[:5], chances[:5])
    for rates in (None, few) if wanted < 0.1 else (None,):
        chosen = choose(rates, 6, wanted)
        assert not chosen.measured
        found = verdicts.outcome_of_every_swap(truth, verdicts.judge_every_swap(chances, chosen))
        assert (found.false_alarms.value or 0) <= wanted


def test_rates_are_few_ascending_and_end_at_the_highest() -> None:
    """Both curves ascend, have few steps, and reach the highest rate that can be wanted."""
    truth, chances = drawn(30_000, 2)
    rates = expectation_rates(truth, chances)
    for steps in (rates.right, rates.wrong):
        assert len(steps) <= MOST_STEPS
        assert list(steps) == sorted(steps)
        assert [share for _, share in steps] == sorted(share for _, share in steps)
    assert rates.right[-1][1] == pytest.approx(HIGHEST_RATE, abs=1e-4)
    assert rates.wrong[0][1] == pytest.approx(1 - HIGHEST_RATE, abs=1e-4)
    assert expectation_rates(np.array([0]), np.array([[1.0, 0.0]])).right == ()


def test_a_bundle_keeps_its_rates(tmp_path: Path) -> None:
    """They are read again to the last digit, for labels and main categories; the digest stays."""
    before = replace(write_stub_bundle(tmp_path), main_categories=("grey", "grey", "light", "light"))
    truth, chances = drawn(500, 4, labels=4)
    after = verdicts.with_rates(before, truth, chances)
    after.save()
    assert load_bundle(before.folder) == after
    assert after.digest == before.digest
    assert after.main_rates is not None
    space = LabelSpace(after.labels, after.main_categories)
    chosen = thresholds_of(space, after.label_rates, after.main_rates, 0.02)
    assert chosen.main.measured
    # A main category is at least as probable as each of its labels.
    assert chosen.main.mismatch >= chosen.label.mismatch
    assert not list(before.folder.glob(".*"))


@pytest.mark.parametrize(
    "wrong", [{"images": 0}, {"right": [[0.5, 0.1], [0.4, 0.2]]}, {"wrong": [[1.5, 1.0]]}, {"right": None}]
)
def test_impossible_rates_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    """Rates ascend and lie between 0 and 1; the message names the field."""
    bundle = write_stub_bundle(tmp_path)
    content = json.loads((bundle.folder / MANIFEST).read_text(encoding="utf-8"))
    content["label_rates"] = {"images": 5, "right": [[0.1, 0.1]], "wrong": [[0.2, 0.9]]} | wrong
    (bundle.folder / MANIFEST).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ConfigFault, match=r"label_rates\."):
        load_bundle(bundle.folder)


def test_swaps_are_half_of_the_items_and_even() -> None:
    """Half of the items, rounded down, expect each other label equally often; the seed decides which."""
    truth = np.arange(9_001) % 4
    expected, wrong = verdicts.swapped(truth, 4, seed=0)
    assert wrong.sum() == 4_500
    assert ((expected != truth) == wrong).all()
    shifts = np.bincount((expected - truth)[wrong] % 4, minlength=4)
    assert shifts[0] == 0
    assert shifts[1:] == pytest.approx([1_500] * 3, abs=150)
    assert verdicts.swapped(truth, 4, seed=0)[0].tolist() == expected.tolist()
    assert verdicts.swapped(truth, 4, seed=1)[0].tolist() != expected.tolist()


def test_a_cross_fit_estimates_the_rates_on_new_photos() -> None:
    """Its rates are those of thresholds from as many other photos; with too few photos there are none."""
    truth, chances = drawn(30_400, 6)
    cross = verdicts.cross_fitted(truth[:400], chances[:400], 0.05, seed=0)
    chosen = choose(expectation_rates(truth[:400], chances[:400]), 5, 0.05)
    new = verdicts.outcome_of_every_swap(truth[400:], verdicts.judge_every_swap(chances[400:], chosen))
    assert cross is not None
    assert cross[0] <= 0.06
    assert cross[1] == pytest.approx(new.found.value, abs=0.05)
    assert verdicts.cross_fitted(truth[:30], chances[:30], 0.02, seed=0) is None


def test_two_photos_are_better_than_one() -> None:
    """At the thresholds of one photo, two find more wrong items, with no more false alarms."""
    truth, chances = drawn(4_000, 7)
    # The second photo of an item is that of the next item with the same label.
    order = np.argsort(truth, kind="stable")
    partner = np.empty(4_000, int)
    for label in range(5):
        same = order[truth[order] == label]
        partner[same] = np.roll(same, 1)
    pairs = np.stack([fuse(chances[[item, other]]) for item, other in enumerate(partner)])
    chosen = choose(expectation_rates(truth, chances), 5, 0.02)
    one, two = (
        verdicts.outcome_of_every_swap(truth, verdicts.judge_every_swap(rows, chosen))
        for rows in (chances, pairs)
    )
    assert (two.found.value or 0) > (one.found.value or 0)
    assert (two.false_alarms.value or 0) <= (one.false_alarms.value or 0)


def test_main_categories_sum_their_labels() -> None:
    """Columns are the main categories in alphabetical order; the index of each label's is returned."""
    sums, main_of, names = main_probabilities(np.array([[0.1, 0.2, 0.3, 0.4]]), SPACE.main_categories)
    assert names == ["body", "feet", "upper"]
    assert sums[0] == pytest.approx([0.1, 0.4, 0.5])
    assert main_of.tolist() == [0, 2, 2, 1]


SHOWS_DRESS, SHOWS_SHOES = photo(0.97, 0.01, 0.01, 0.01), photo(0.001, 0.005, 0.004, 0.99)
SLIP, BROKEN = photo(0.9, 0.1, 0.0, 0.0, slip=True), PhotoFacts()


CLOSE = photo(0.2, 0.7, 0.05, 0.05)
SAID_DRESS, SAID_SHOES = (SHOWS_SHOES._replace(person_label=label) for label in ("dress", "shoes"))
SAID_NOTHING = SHOWS_DRESS._replace(person_label=ReviewOutcome.UNREADABLE)
SAID_NONE = SHOWS_DRESS._replace(person_label=ReviewOutcome.NONE_OF_THESE)
SAID_SHIRT = BROKEN._replace(person_label="shirt")
USED = SHOWS_DRESS._replace(reused=True)
UPPERS = photo(0.1, 0.45, 0.4, 0.05)
T_SHIRT, SOFA = (Expected(ExpectedKind.LABEL, name) for name in ("T Shirt", "sofa"))
LATE = {"overdue": True}
CASES = [
    (DRESS, [SHOWS_DRESS], {}, "match", "probable", "The photo shows that, with a probability of 97 %."),
    (DRESS, [SHOWS_DRESS, SLIP], {}, "match", "probable", "Expected: dress. The photo shows that"),
    (DRESS, [BROKEN, SHOWS_DRESS], {}, "match", "probable", "Expected: dress. The photo shows that"),
    (DRESS, [SHOWS_SHOES], {}, "mismatch", "probable", "another one with a probability of more than 99 %."),
    (DRESS, [SHOWS_SHOES, SLIP, SHOWS_SHOES], {}, "mismatch", "probable", "The 2 photos show: shoes."),
    (DRESS, [CLOSE], {}, "unsure", "probable", "probability of 20 %; most probable is: shirt."),
    (DRESS, [SHOWS_DRESS, SHOWS_SHOES], {}, "unsure", "probable", "The 2 photos show"),
    (UPPER, [UPPERS], {}, "match", "probable", "Expected: upper. The photo shows that"),
    (UPPER, [SHOWS_SHOES], {}, "mismatch", "probable", "The photo shows: feet."),
    (T_SHIRT, [photo(0, 0, 1, 0)], {}, "match", "probable", "Expected: t-shirt."),
    (SOFA, [SHOWS_SHOES], {}, "unsure", "unknown category", "does not know this category"),
    (None, [SHOWS_SHOES], {}, "unsure", "no category", "No category was announced. The photo shows: shoes."),
    (DRESS, [SHOWS_SHOES], {"announced": False}, "unexpected", "not announced", "No return with this number"),
    (DRESS, [], LATE, "no photo", "nothing came", "no photo of it came in time"),
    (DRESS, [SLIP], LATE, "no photo", "nothing came", "no photo of it came in time"),
    (DRESS, [USED, SHOWS_SHOES], {}, "reused photo", "seen before", "A photo of this return"),
    (DRESS, [BROKEN, SLIP], {}, "empty or unreadable", "nothing readable", "The photo is empty"),
    (DRESS, [SAID_NOTHING], {}, "empty or unreadable", "nothing readable", "The photo is empty"),
    (DRESS, [SAID_DRESS], {}, "match", "reviewed", "A reviewer saw that"),
    (DRESS, [SAID_SHOES, SHOWS_DRESS], {}, "mismatch", "reviewed", "A reviewer saw in the photo: shoes."),
    (DRESS, [SAID_NONE], {}, "mismatch", "reviewed", "none of these"),
    (DRESS, [SAID_DRESS, SAID_SHOES], {}, "unsure", "reviews differ", "saw that and also: shoes."),
    (UPPER, [SAID_SHIRT], {}, "match", "reviewed", "Expected: upper."),
    (None, [SAID_SHIRT], {}, "unsure", "no category", "shirt"),
]


@pytest.mark.parametrize(("expected", "photos", "facts", "kind", "reason", "sentence"), CASES)
def test_facts_have_one_verdict(
    expected: Expected | None,
    photos: list[PhotoFacts],
    facts: dict[str, bool],
    kind: str,
    reason: str,
    sentence: str,
) -> None:
    """Each case has its kind, its reason and a sentence that says why and how sure."""
    found = decide(expected, *photos, **facts)
    assert found is not None
    assert (found.kind, found.reason) == (kind, reason)
    (said,) = words.verdict(found)
    assert sentence in said
    assert "{" not in said


def test_a_return_whose_photos_may_still_come_has_no_verdict() -> None:
    """Neither an announced return without photos nor one with a slip alone, until it is overdue."""
    assert decide(DRESS) is None
    assert decide(DRESS, SLIP) is None


def test_assumed_thresholds_are_stated() -> None:
    """A verdict by thresholds that were not measured says so; one of people's labels does not."""
    chosen = thresholds_of(SPACE, None, None, 0.02)
    facts = ReturnFacts(announced=True, expected=DRESS, photos=(SHOWS_SHOES,))
    found = verdict_of(facts, SPACE, chosen)
    assert found is not None
    assert words.verdict(found)[1:] == [words.VERDICT_ASSUMED]


def test_every_verdict_has_words() -> None:
    """Every kind has a name and a sentence; every reason has a sentence."""
    assert set(words.VERDICTS) == set(VerdictKind)
    assert {kind for kind, _ in words.VERDICT_SENTENCES} == set(VerdictKind.written())
    assert {reason for _, reason in words.VERDICT_SENTENCES} == set(VerdictReason.written())
    assert [words.percentage(share) for share in (0, 0.001, 0.5, 0.999, 1)] == [
        *("0 %", "less than 1 %", "50 %", "more than 99 %", "100 %")
    ]
