"""Measures the verdicts on products: altered pictures, half of them expected as another product."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from returns_pipeline.classify.spaces.embedder import Embedder
from returns_pipeline.errors import RefusedError
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.desk_photos import desk_photo
from returns_pipeline.records.text import printable
from returns_pipeline.records.verdicts import ProductFacts, Verdict, VerdictKind, VerdictReason
from returns_pipeline.training.evaluation.verdicts import Outcome, outcome
from returns_pipeline.usecases.labelled_products import LabelledProduct, pixels_of, read_catalogue, values_of
from returns_pipeline.usecases.product_calibration import chosen
from returns_pipeline.usecases.product_likeness import CANDIDATES, Candidate, Likeness, likeness
from returns_pipeline.vectors.nearest import Exact
from returns_pipeline.verdicts.products import Calibration, judged_by_product
from returns_pipeline.verdicts.thresholds import KINDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Products that are judged at most, and the least that calibrate and are judged.
_MOST_JUDGED, _LEAST = 2000, 3
#: The verdict on the category, to which that on the product is added.
_RIGHT_CATEGORY = Verdict(VerdictKind.MATCH, VerdictReason.PROBABLE)


class Evaluation(NamedTuple):
    """What was measured: products with a usable picture, others, and the verdicts.

    `calibrated_on` counts altered pictures, of other products than the judged ones. In `outside`, wrong
    products that came are not in the catalogue.
    """

    products: int
    left_out: int
    calibrated_on: int
    outcome: Outcome
    outside: Outcome


def evaluate(
    path: Path,
    by: str,
    embedder: Embedder,
    limits: Limits,
    wanted: float,
    seed: int,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Judge altered pictures of a catalogue's products by the code that judges returns.

    One half of the products calibrates, of the other one up to 2,000 are judged; all are in the catalogue.
    Half of the judged ones expect another product with the same value of the attribute `by`, drawn evenly.
    Raises RefusedError if the files cannot be read, or have too few products.
    """
    listed, others = read_catalogue(path)
    values = values_of(listed, by)
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(listed))
    half = (len(listed) + 1) // 2
    judged = order[half:][:_MOST_JUDGED].tolist()
    photos = Counter(order[chosen(half)].tolist()) + Counter(judged)
    seen = _seen(listed, photos, embedder, limits, seed, on_progress)
    judged = [place for place in judged if place in seen.vectors]
    calibrating = sorted(seen.altered.keys() - set(judged))
    if min(len(calibrating), len(judged)) < _LEAST:
        raise RefusedError(
            "Only {count} products of {path} have a picture that can be used; more are needed.",
            count=len(seen.vectors),
            path=printable(path),
        )
    catalogue = _Catalogue(seen.vectors, values, embedder.space.parts)
    margins = [
        found.margin
        for place in calibrating
        for photo in seen.altered[place]
        if (found := catalogue.likeness(photo, place)) is not None
    ]
    calibration = Calibration(sorted(margins))
    pairs = catalogue.pairs(judged, draw)
    inside = [catalogue.likeness(seen.altered[came][0], expected) for came, expected in pairs]
    wrong = np.array([came != expected for came, expected in pairs], bool)
    outside = [
        catalogue.likeness(seen.altered[came][0], expected, without=came)
        for came, expected in pairs
        if came != expected
    ]
    return Evaluation(
        len(seen.vectors),
        others + len(listed) - len(seen.vectors),
        len(margins),
        outcome(_codes(inside, calibration, wanted), wrong),
        outcome(_codes(outside, calibration, wanted), np.ones(len(outside), bool)),
    )


class _Seen(NamedTuple):
    """The vectors of pictures, and of their altered ones, by the places of their products."""

    vectors: dict[int, bytes]
    altered: dict[int, list[bytes]]


def _seen(
    listed: Sequence[LabelledProduct],
    photos: Mapping[int, int],
    embedder: Embedder,
    limits: Limits,
    seed: int,
    on_progress: Callable[[int], None],
) -> _Seen:
    """Embed all pictures, and as many altered ones of each product as `photos` says."""
    found = _Seen({}, {})
    for places, _, pixels in pixels_of(listed, embedder.space.input, limits, on_progress):
        for place, picture, vector in zip(places, pixels, embedder.embed(pixels), strict=True):
            found.vectors[place] = vector.tobytes()
            draws = [np.random.default_rng((seed, place, number)) for number in range(photos.get(place, 0))]
            if draws:
                altered = embedder.embed(np.stack([desk_photo(picture, each) for each in draws]))
                found.altered[place] = [each.tobytes() for each in altered]
    return found


class _Catalogue:
    """The vectors of products by their places, each with one picture, and the categories of them."""

    def __init__(self, vectors: Mapping[int, bytes], values: Sequence[str], parts: Sequence[int]) -> None:
        self._vectors, self._values, self._parts = vectors, values, parts
        self._alike: dict[str, list[int]] = {}
        for place in sorted(vectors):
            self._alike.setdefault(values[place], []).append(place)
        self._searches = {name: self._exact(places) for name, places in self._alike.items()}
        self._everything = self._exact(sorted(vectors))

    def _exact(self, places: Sequence[int]) -> Exact:
        rows = np.stack([np.frombuffer(self._vectors[place], np.int8) for place in places])
        return Exact(np.array(places, np.int64), rows)

    def likeness(self, photo: bytes, product: int, without: int = -1) -> Likeness | None:
        """Compare a photo with a product and the others of its category, but the one of place `without`."""
        pictures = [self._candidate(product)]
        for search in (self._searches[self._values[product]], self._everything):
            found = likeness([photo], pictures, partial(self._nearest, search, without), self._parts)
            if found is not None:
                return found
        return None

    def _nearest(self, search: Exact, without: int, vector: bytes) -> list[Candidate]:
        found = search.search(np.frombuffer(vector, np.int8), CANDIDATES)
        return [self._candidate(place) for place in found.ids.tolist() if place != without]

    def _candidate(self, place: int) -> Candidate:
        return Candidate(place, place, self._vectors[place])

    def pairs(self, judged: Sequence[int], draw: np.random.Generator) -> list[tuple[int, int]]:
        """Return what came and what was expected: for half of them another product of the category."""
        expected = list(judged)
        for number in draw.permutation(len(judged))[: len(judged) // 2].tolist():
            came = judged[number]
            others = [place for place in self._alike[self._values[came]] if place != came]
            if others:
                expected[number] = others[int(draw.integers(len(others)))]
        return list(zip(judged, expected, strict=True))


def _codes(found: Sequence[Likeness | None], calibration: Calibration, wanted: float) -> "NDArray[np.int64]":
    """Return the verdict on each return as an index into KINDS."""
    codes = []
    for each in found:
        facts = each and ProductFacts(
            "", 0, each.picture, each.value, "", 0, each.other_value, calibration.rate(each.margin)
        )
        verdict = judged_by_product(_RIGHT_CATEGORY, facts, wanted)
        codes.append(KINDS.index((verdict or _RIGHT_CATEGORY).kind))
    return np.array(codes, np.int64)
