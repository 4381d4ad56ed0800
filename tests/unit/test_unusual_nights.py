"""A night is unusual only if it differs from earlier nights by more than they do, and by more than chance."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from returns_pipeline.usecases.unusual_nights import LEAST_NIGHTS, Night, distance_of, judge

USUAL = {"Shirt": 0.4, "Dress": 0.3, "Bag": 0.2, "Boot": 0.1}
COUNTS = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 500), min_size=1)


def seeded(number: int) -> random.Random:
    """Return random numbers that are the same in every run."""
    return random.Random(number)  # noqa: S311 - no secret


def night(
    chance: random.Random, photos: int, mix: dict[str, float] | None = None, unsure: float = 0.1
) -> Night:
    """Return a night whose photos are drawn from a mix."""
    shares = mix or USUAL
    drawn = Counter(chance.choices(list(shares), list(shares.values()), k=photos))
    return Night(drawn, photos, sum(chance.random() < unsure for _ in range(photos)))


def test_usual_nights_of_any_size_are_not_unusual() -> None:
    """In 100 nights of 5 to 3,000 photos, drawn from the same mix, none is reported."""
    chance = seeded(7)
    for _ in range(100):
        earlier = [night(chance, chance.choice([50, 400, 3000])) for _ in range(30)]
        assert judge(night(chance, chance.choice([5, 40, 300, 3000])), earlier) is None


def test_another_mix_is_unusual_and_named() -> None:
    """A night with a third more bags is reported with the bags first."""
    chance = seeded(8)
    earlier = [night(chance, 1000) for _ in range(20)]
    found = judge(night(chance, 1000, {"Shirt": 0.3, "Dress": 0.1, "Bag": 0.5, "Boot": 0.1}), earlier)
    assert found is not None
    assert found.distance is not None
    assert 0.2 < found.distance < 0.4
    assert found.changed[0][0] == "Bag"
    assert found.unsure is None
    new_label = judge(night(chance, 1000, {"Hat": 1.0}), earlier)
    assert new_label is not None
    assert new_label.changed[0] == ("Hat", 1.0, 0.0)


def test_many_or_few_unsure_predictions_are_unusual() -> None:
    """The share of unsure predictions is reported with the usual one, whatever the mix."""
    chance = seeded(9)
    earlier = [night(chance, 2000, unsure=0.2) for _ in range(12)]
    for share in (0.4, 0.02):
        found = judge(night(chance, 2000, unsure=share), earlier)
        assert found is not None
        assert found.distance is None
        assert found.unsure is not None
        assert abs(found.unsure[0] - share) < 0.05
        assert abs(found.unsure[1] - 0.2) < 0.05


def test_nights_that_always_differ_make_no_night_unusual() -> None:
    """Where every night has its own mix, another one is as usual as they are."""
    chance = seeded(10)
    mixes = [{label: chance.random() + 0.01 for label in USUAL} for _ in range(31)]
    nights = [night(chance, 1000, mix) for mix in mixes]
    assert judge(nights[0], nights[1:]) is None


def test_one_odd_night_does_not_hide_the_next() -> None:
    """Medians ignore a few odd nights among the earlier ones."""
    chance = seeded(11)
    odd = {"Boot": 1.0}
    earlier = [night(chance, 1000) for _ in range(18)] + [night(chance, 1000, odd) for _ in range(2)]
    assert judge(night(chance, 1000, odd), earlier) is not None


def test_too_few_nights_say_nothing() -> None:
    """Fewer than ten earlier nights, or ten without a count of unsure predictions, are no comparison."""
    chance = seeded(12)
    earlier = [night(chance, 1000) for _ in range(LEAST_NIGHTS - 1)]
    assert judge(night(chance, 1000, {"Hat": 1.0}, unsure=1.0), earlier) is None
    uncounted = [each._replace(unsure=None) for each in [*earlier, earlier[0]]]
    found = judge(night(chance, 1000, {"Hat": 1.0}, unsure=1.0), uncounted)
    assert found is not None
    assert found.unsure is None


@settings(max_examples=50, deadline=None)
@given(COUNTS, COUNTS)
def test_the_distance_is_a_metric_of_shares(first: dict[str, int], second: dict[str, int]) -> None:
    """From 0 to 1, symmetric, and 0 for equal shares."""
    found = distance_of(first, second)
    assert 0 <= found <= 1 + 1e-9
    assert abs(found - distance_of(second, first)) < 1e-9
    assert distance_of(first, {label: 3 * count for label, count in first.items()}) < 1e-9


@settings(max_examples=50, deadline=None)
@given(st.lists(st.builds(Night, COUNTS | st.just({}), st.integers(0, 99), st.integers(0, 99)), max_size=14))
def test_any_nights_can_be_judged(nights: list[Night]) -> None:
    """Empty nights and nights without photos raise nothing."""
    for each in nights:
        judge(each, nights)
