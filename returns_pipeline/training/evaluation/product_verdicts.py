"""Measures the verdicts on products: altered pictures, half of them expected as another product."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from returns_pipeline.classify.spaces.embedder import Embedder
from returns_pipeline.errors import RefusedError
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.desk_photos import desk_photo
from returns_pipeline.records.embedding import SimilarProduct
from returns_pipeline.records.text import printable
from returns_pipeline.records.verdicts import ProductFacts, Verdict, VerdictKind, VerdictReason
from returns_pipeline.training.evaluation.verdicts import Outcome, outcome
from returns_pipeline.usecases.labelled_products import pixels_of, read_catalogue, values_of
from returns_pipeline.usecases.product_calibration import chosen
from returns_pipeline.usecases.product_likeness import Likeness, likeness
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
    photos = Counter(order[chosen(half)].tolist()) + Counter(order[half:][:_MOST_JUDGED].tolist())
    vectors: dict[int, NDArray[np.int8]] = {}
    altered: dict[int, list[bytes]] = {}
    for places, _, pixels in pixels_of(listed, embedder.space.input, limits, on_progress):
        vectors.update(zip(places, embedder.embed(pixels), strict=True))
        for place, picture in zip(places, pixels, strict=True):
            seeds = [(seed, place, number) for number in range(photos[place])]
            seen = [desk_photo(picture, np.random.default_rng(each)) for each in seeds]
            altered[place] = [each.tobytes() for each in embedder.embed(np.stack(seen))] if seen else []
    catalogue = _Catalogue(vectors)
    calibrating = [place for place in order[:half].tolist() if place in vectors]
    judged = [place for place in order[half:][:_MOST_JUDGED].tolist() if place in vectors]
    if min(len(calibrating), len(judged)) < _LEAST:
        raise RefusedError(
            "Only {count} products of {path} have a picture that can be used; more are needed.",
            count=len(vectors),
            path=printable(path),
        )
    margins = [catalogue.margin(photo, place) for place in calibrating for photo in altered[place]]
    calibration = Calibration(sorted(margins))
    expected = _expected(judged, {place: values[place] for place in vectors}, draw)
    wrong = np.array([mine != other for mine, other in zip(judged, expected, strict=True)], bool)
    pairs = list(zip(judged, expected, strict=True))
    inside = [catalogue.likeness(altered[mine][0], other) for mine, other in pairs]
    outside = [
        catalogue.likeness(altered[mine][0], other, without=mine) for mine, other in pairs if mine != other
    ]
    return Evaluation(
        len(vectors),
        others + len(listed) - len(vectors),
        len(margins),
        outcome(_codes(inside, calibration, wanted), wrong),
        outcome(_codes(outside, calibration, wanted), np.ones(len(outside), bool)),
    )


class _Catalogue:
    """The vectors of products by their places, each with one picture."""

    def __init__(self, vectors: "Mapping[int, NDArray[np.int8]]") -> None:
        self._vectors = vectors
        self._search = Exact(np.array(list(vectors), np.int64), np.stack(list(vectors.values())))

    def likeness(self, photo: bytes, product: int, without: int = -1) -> Likeness:
        """Compare a photo with a product and with all others but the one of place `without`."""

        def nearest(vector: bytes, count: int) -> Sequence[SimilarProduct]:
            found = self._search.search(np.frombuffer(vector, np.int8), count + 1)
            pairs = zip(found.ids.tolist(), found.cosines.tolist(), strict=True)
            return [SimilarProduct(place, place, cosine) for place, cosine in pairs if place != without]

        found = likeness([photo], product, [(product, self._vectors[product].tobytes())], nearest)
        if found is None:
            raise ValueError("a catalogue of one product")
        return found

    def margin(self, photo: bytes, product: int) -> float:
        return self.likeness(photo, product).margin


def _expected(judged: Sequence[int], values: Mapping[int, str], draw: np.random.Generator) -> list[int]:
    """Return the expected product of each judged one: of one half, another one with the same value."""
    alike: dict[str, list[int]] = {}
    for place in sorted(values):
        alike.setdefault(values[place], []).append(place)
    expected = list(judged)
    for number in draw.permutation(len(judged))[: len(judged) // 2].tolist():
        mine = judged[number]
        others = [place for place in alike[values[mine]] if place != mine]
        if others:
            expected[number] = others[int(draw.integers(len(others)))]
    return expected


def _codes(found: Iterable[Likeness], calibration: Calibration, wanted: float) -> "NDArray[np.int64]":
    """Return the verdict on each return as an index into KINDS."""
    codes = []
    for each in found:
        facts = ProductFacts(
            "", 0, each.picture, each.cosine, "", 0, each.other.cosine, calibration.rate(each.margin)
        )
        verdict = judged_by_product(_RIGHT_CATEGORY, facts, wanted)
        codes.append(KINDS.index(verdict.kind) if verdict else 0)
    return np.array(codes, np.int64)
