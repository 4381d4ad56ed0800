"""The watch over the nights: what has changed is found soon, and quiet nights hardly ever alarm."""

import numpy as np
import pytest

from benchmarks.drift import CHANGES, World, alarms, found_after
from returns_pipeline.quality.drift import ACCEPTED, LEAST_NIGHTS, Night, changes
from returns_pipeline.records.mixes import BOUNDS, ORDERED, Change, Property
from returns_pipeline.report import words

_WORLDS = 4


def night(hats: int, *different: str, photos: int = 1000) -> Night:
    """Return a night with some hats among its photos."""
    return Night({"category": {"hat": hats, "shoe": photos - hats}}, frozenset(different))


def usual(count: int, seed: int = 0) -> list[Night]:
    """Return nights with about 100 hats each."""
    rng = np.random.default_rng(seed)
    return [night(int(each)) for each in rng.normal(100, 15, count)]


def found(last: Night, before: list[Night]) -> list[Change]:
    """Return what has changed."""
    return changes(last, before, ORDERED)


def test_at_most_one_of_200_quiet_nights_alarms() -> None:
    """Nights differ by weekday and by more than chance; 400 of them in four shops alarm once at most."""
    counted = sum(alarms(World(np.random.default_rng(seed), 700), 100) for seed in range(_WORLDS))
    assert counted <= 1


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found_in_time(name: str) -> None:
    """A new category of 5 % is found within two nights, a darker camera within one, in every shop."""
    changed, nights = CHANGES[name]
    worlds = (World(np.random.default_rng(seed), 700) for seed in range(_WORLDS))
    assert all(found_after(world, changed) <= nights for world in worlds)


def test_what_has_changed_is_named() -> None:
    """The change has the category, its share, the usual one, and a chance that is small."""
    (change,) = found(night(300), usual(60))
    assert change.property == "category"
    assert change.bin == "hat"
    assert change.share == pytest.approx(0.3)
    assert change.usual == pytest.approx(0.1, abs=0.01)
    assert change.chance < 1e-6
    assert change.is_new


def test_nights_that_always_differ_much_make_a_difference_usual() -> None:
    """By chance alone 200 hats of 1,000 are far from 100; among nights of 20 to 200 they are not."""
    rng = np.random.default_rng(1)
    assert found(night(200), usual(60))
    assert not found(night(200), [night(int(each)) for each in rng.uniform(20, 200, 60)])


def test_too_few_nights_are_no_reference() -> None:
    """With fewer nights than the least, nothing is said; a night without photos is none."""
    assert not found(night(500), usual(LEAST_NIGHTS - 1))
    assert not found(night(500), [*usual(LEAST_NIGHTS - 1), Night({"category": {"": 0}})])
    assert found(night(500), usual(LEAST_NIGHTS))
    assert not found(Night({"category": {"": 0}}), usual(60))


def test_a_change_that_stays_is_new_once_and_usual_in_the_end() -> None:
    """After ACCEPTED nights in a row the new share is the usual one, and the old one is a change."""
    before = usual(40)
    for number in range(ACCEPTED):
        (change,) = found(night(300 + number), before)
        assert change.is_new == (number == 0)
        before = [night(300 + number, "category"), *before]
    assert not found(night(305), before)
    assert found(night(100), before)


def test_a_property_with_an_order_is_compared_at_its_bounds() -> None:
    """A camera that is a little darker moves photos over one bound: the share below it is stated."""
    bright = [Night({"brightness": {"3": 10 + each % 5, "4": 990 - each % 5}}) for each in range(30)]
    (change,) = found(Night({"brightness": {"3": 400, "4": 600}}), bright)
    assert change.bin == "4"
    assert change.share == pytest.approx(0.4)


@pytest.mark.parametrize("name", Property)
def test_every_property_has_a_sentence(name: Property) -> None:
    """A sentence states the share and the usual one; a property of a newer version has one too."""
    key = str(len(BOUNDS[name])) if name in BOUNDS else "Hat"
    assert "12.5%, usually 2.0%" in words.change(name, key, 0.125, 0.02).replace(" of the photos", "")
    assert words.change("smell", "bad", 0.125, 0.02) == "smell: 12.5%, usually 2.0%."
