"""`python -m benchmarks.drift`: how soon a change of the photos is found, and how often a quiet night alarms.

Simulated nights: their number of photos, the mix of their categories, their light and the shares of their
cameras differ from night to night by more than chance, and by weekday. In a changed night 5 % of the photos
are of a category that the model does not know, so that it says one of its own with less confidence; or one
camera of three is darker by a third.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from returns_pipeline.quality.drift import Night, changes
from returns_pipeline.records.mixes import BOUNDS, ORDERED, Property

Floats = NDArray[np.floating[Any]]

CATEGORIES = 10
#: Mean level of the pictures of each camera, their pixels, and bytes for a pixel.
CAMERAS = ((150.0, 12e6, 0.25), (135.0, 8e6, 0.3), (165.0, 2e6, 0.4))


class Photos(NamedTuple):
    """The photos of a night: a value of each property for each photo."""

    category: NDArray[np.int64]
    confidence: Floats
    camera: NDArray[np.int64]
    brightness: Floats
    familiarity: Floats


class World:
    """A shop, its customers and cameras: nights that are like each other, but not equal."""

    def __init__(self, rng: Generator, photos: int) -> None:
        """Draw what its nights have in common; `photos` is the usual number in a night."""
        self._rng, self._photos = rng, photos
        self._mix = rng.dirichlet(np.full(CATEGORIES, 3.0))
        self._weekday = rng.normal(0, 0.1, (7, CATEGORIES))
        self._cameras = rng.dirichlet(np.full(len(CAMERAS), 8.0))
        self._day = 0

    def photos(self) -> Photos:
        """Return the photos of the next night."""
        rng = self._rng
        count = max(20, round(self._photos * float(np.exp(rng.normal(0, 0.3)))))
        mix = self._mix * np.exp(self._weekday[self._day % 7])
        mix = rng.dirichlet(250 * mix / mix.sum())
        camera = rng.choice(len(CAMERAS), count, p=rng.dirichlet(120 * self._cameras))
        light = np.array([each[0] for each in CAMERAS])[camera] + rng.normal(0, 3) + rng.normal(0, 25, count)
        is_sure = rng.random(count) < rng.beta(270, 30)
        confidence = np.where(is_sure, 1 - 0.2 * rng.random(count) ** 3, rng.uniform(0.25, 0.8, count))
        category = rng.choice(CATEGORIES, count, p=mix)
        self._day += 1
        return Photos(category, confidence, camera, light, rng.random(count))

    def with_new_category(self, share: float = 0.05) -> Photos:
        """Return a night in which some photos are of a category that the model does not know."""
        rng, night = self._rng, self.photos()
        is_new = rng.random(len(night.category)) < share
        category = np.where(is_new, rng.choice(3, len(is_new), p=(0.5, 0.3, 0.2)), night.category)
        unsure, strange = rng.beta(5, 4, len(is_new)), rng.beta(0.15, 2, len(is_new))
        return night._replace(
            category=category,
            confidence=np.where(is_new, unsure, night.confidence),
            familiarity=np.where(is_new, strange, night.familiarity),
        )

    def with_own_category(self, share: float = 0.05) -> Photos:
        """Return a night in which some photos are of a category that the model knows and that never came."""
        night = self.photos()
        is_new = self._rng.random(len(night.category)) < share
        return night._replace(category=np.where(is_new, CATEGORIES, night.category))

    def with_darker_camera(self, factor: float = 2 / 3) -> Photos:
        """Return a night in which one camera is darker."""
        night = self.photos()
        return night._replace(brightness=np.where(night.camera == 0, factor, 1.0) * night.brightness)


def mixes(night: Photos) -> dict[str, dict[str, int]]:
    """Return the photos of a night by property and bin."""
    pixels = np.array([each[1] for each in CAMERAS])[night.camera]
    values = {
        Property.CONFIDENCE: night.confidence,
        Property.FAMILIARITY: night.familiarity,
        Property.BRIGHTNESS: night.brightness,
        Property.PIXELS: pixels,
        Property.FILE_SIZE: pixels * np.array([each[2] for each in CAMERAS])[night.camera],
    }
    found: dict[str, dict[str, int]] = {
        name.value: _counted(np.digitize(each, BOUNDS[name])) for name, each in values.items()
    }
    return found | {
        Property.CATEGORY: _counted(night.category),
        Property.FORMAT: {
            "JPEG": int(np.sum(night.camera != 2)) + 1,
            "WEBP": int(np.sum(night.camera == 2)),
        },
    }


def _counted(bins: NDArray[np.integer[Any]]) -> dict[str, int]:
    return {str(each): count for each, count in Counter(bins.tolist()).items()}


def history(world: World, nights: int) -> list[Night]:
    """Return quiet nights, newest first."""
    return [Night(mixes(world.photos())) for _ in range(nights)]


def judged(night: Night, before: list[Night]) -> Night:
    """Return a night with what is different about it."""
    return night._replace(different=frozenset(each.property for each in changes(night, before, ORDERED)))


def alarms(world: World, nights: int) -> int:
    """Return how many of some quiet nights alarm, after a reference of 60."""
    before, count = history(world, 60), 0
    for _ in range(nights):
        night = judged(Night(mixes(world.photos())), before)
        count += bool(night.different)
        before = [night, *before][:60]
    return count


def found_after(
    world: World, changed: Callable[[World], Photos], most: int = 5, left_out: Property | None = None
) -> int:
    """Return in which changed night the change is found; `most` + 1 if in none of them."""
    before = [_without(left_out, each) for each in history(world, 60)]
    for number in range(1, most + 1):
        night = judged(_without(left_out, Night(mixes(changed(world)))), before)
        if night.different:
            return number
        before = [night, *before]
    return most + 1


def _without(left_out: Property | None, night: Night) -> Night:
    return Night({name: mix for name, mix in night.mixes.items() if name != left_out}, night.different)


CHANGES: dict[str, tuple[Callable[[World], Photos], int]] = {
    "5 % of the photos of an unknown category": (World.with_new_category, 2),
    "5 % of the photos of a category that never came": (World.with_own_category, 2),
    "one camera of three is darker by a third": (World.with_darker_camera, 1),
}


def measured(photos: int, worlds: int, quiet: int) -> Iterator[dict[str, object]]:
    """Yield each figure with its goal."""
    count = sum(alarms(World(np.random.default_rng(seed), photos), quiet) for seed in range(worlds))
    yield {
        "what": f"alarms in {worlds * quiet} quiet nights, for 200",
        "photos": photos,
        "found": round(200 * count / (worlds * quiet), 2),
        "goal": 1,
        "reached": 200 * count <= worlds * quiet,
    }
    every: list[tuple[str, Callable[[World], Photos], int, Property | None]] = [
        (name, *of_change, None) for name, of_change in CHANGES.items()
    ]
    name = next(iter(CHANGES))
    every.append((f"{name}, without familiarity", *CHANGES[name], Property.FAMILIARITY))
    for name, changed, goal, left_out in every:
        nights = [
            found_after(World(np.random.default_rng(seed), photos), changed, left_out=left_out)
            for seed in range(worlds)
        ]
        in_time = sum(each <= goal for each in nights)
        yield {
            "what": f"{name}: share of {worlds} shops in which it is found within {goal} nights",
            "photos": photos,
            "found": round(in_time / worlds, 3),
            "goal": 1,
            "reached": in_time == worlds,
        }


def main() -> None:
    """Print a line for each figure."""
    parser = argparse.ArgumentParser(description="Measure the watch over the nights.")
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--quiet", type=int, default=200, help="quiet nights of each world")
    parser.add_argument("--photos", type=int, nargs="+", default=[500, 2000, 10_000], help="in a night")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = [row for count in options.photos for row in measured(count, options.worlds, options.quiet)]
    if options.json:
        print(json.dumps(found))
        return
    for row in found:
        mark = "reached" if row["reached"] else "missed"
        print(f"{row['photos']:>7} photos  {row['what']}: {row['found']} (goal {row['goal']}, {mark})")


if __name__ == "__main__":
    main()
