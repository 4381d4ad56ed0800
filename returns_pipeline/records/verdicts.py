"""Verdicts: what a return was expected to be, what its photos show, and what follows."""

from dataclasses import dataclass
from typing import NamedTuple

from returns_pipeline.records.stored_enum import StoredEnum

#: (threshold, share) pairs, both ascending.
ShareSteps = tuple[tuple[float, float], ...]


class VerdictKind(StoredEnum):
    """The verdict on a return. `mismatch`: the photos show another category or product than expected."""

    MATCH = "match"
    MISMATCH = "mismatch"
    UNSURE = "unsure"
    UNEXPECTED = "unexpected"
    NO_PHOTO = "no photo"
    REUSED_PHOTO = "reused photo"
    UNREADABLE = "empty or unreadable"
    UNKNOWN = "unknown"


class VerdictReason(StoredEnum):
    """Why a return has its verdict.

    `probable`: the probability of the expected category decided. `reviewed`: people labelled the photos.
    `reviews differ`: people saw the expected category in one photo and another one in the next.
    `no category`: the return names no category. `unknown category`: the model does not know the category that
    it names. `unfamiliar`: a photo is unlike anything the model was trained on. `other product`: the
    category may be right, but a photo looks more like another product.
    """

    PROBABLE = "probable"
    REVIEWED = "reviewed"
    REVIEWS_DIFFER = "reviews differ"
    NO_CATEGORY = "no category"
    UNKNOWN_CATEGORY = "unknown category"
    UNFAMILIAR = "unfamiliar"
    NOT_ANNOUNCED = "not announced"
    NOTHING_CAME = "nothing came"
    SEEN_BEFORE = "seen before"
    OTHER_PRODUCT = "other product"
    NOTHING_READABLE = "nothing readable"
    UNKNOWN = "unknown"


class ExpectedKind(StoredEnum):
    """What a return's expectation names: a label of the model, or a main category, the sum of its labels."""

    LABEL = "label"
    MAIN = "main"
    UNKNOWN = "unknown"


class Expected(NamedTuple):
    """What a return was announced to be."""

    kind: ExpectedKind
    name: str


class PhotoFacts(NamedTuple):
    """One photo of a return.

    `top` holds (label index, calibrated probability) pairs, best first, as a stored prediction does; empty if
    the photo has no prediction. `person_label` is the label or outcome of the newest review, None without
    one. `slip`: the photo shows a return's code and no item. `reused`: the photo came with another return
    before, and no person has dismissed that; `earlier` is the number of that return, if it is known.
    `unfamiliar`: it is unlike anything the model was trained on, so its probabilities say nothing.
    """

    top: tuple[tuple[int, float], ...] = ()
    person_label: str | None = None
    slip: bool = False
    reused: bool = False
    earlier: str | None = None
    unfamiliar: bool = False


class ReturnFacts(NamedTuple):
    """What decides the verdict on one return.

    `announced`: a return with this number was announced. `overdue`: its photos should have come by now.
    `expected` is None if nothing was said about the category.
    """

    announced: bool
    expected: Expected | None = None
    photos: tuple[PhotoFacts, ...] = ()
    overdue: bool = False


class ProductFacts(NamedTuple):
    """How much a photo looks like the expected product, and like the most similar other one.

    `product` and `other` are the shop's ids; `picture` and `other_picture` are rows of `product_images`,
    `likeness` and `other_likeness` the cosines of the vector of the photo `image` with theirs. `rate` is the
    share, 0 to 1, of right items that look no more like their own product, compared with the others, than
    this one. `accepted` counts the accepted returns on which it was measured; 0: on altered pictures alone.
    """

    product: str
    image: int
    picture: int
    likeness: float
    other: str
    other_picture: int
    other_likeness: float
    rate: float
    accepted: int = 0


class LabelSpace(NamedTuple):
    """The labels of a model in the order of its output, and the main category of each."""

    labels: tuple[str, ...]
    main_categories: tuple[str, ...]


class Verdict(NamedTuple):
    """The verdict on a return, with the fields of its sentence.

    `sureness`, 0 to 1, of a match and of `unsure` is the probability of the expected category; of a mismatch
    the probability that it is another one; None if facts or people decided. `found` is the most probable
    category, or what people saw; empty if no photo shows an item. `photos` counts the photos that decided.
    `measured` is False if the thresholds come from an assumption and not from validation photos.
    `earlier` has the numbers of the returns with which reused photos came before. `product` compares the
    photos with the expected product, if that can be done; of a verdict `other product`, `sureness` is the
    share of right items that look more like their product.
    """

    kind: VerdictKind
    reason: VerdictReason
    sureness: float | None = None
    expected: str = ""
    found: str = ""
    photos: int = 0
    measured: bool = True
    earlier: tuple[str, ...] = ()
    product: ProductFacts | None = None

    @property
    def found_product(self) -> str | None:
        """The shop's id of the product that a photo looks more like; None if the verdict does not say so."""
        is_other = self.reason is VerdictReason.OTHER_PRODUCT
        return self.product.other if is_other and self.product else None


@dataclass(frozen=True, slots=True)
class ExpectationRates:
    """How probable the expected category is, measured on `images` validation images.

    `right` has pairs of (threshold, share of right items below it): images with their own category as the
    expected one. `wrong` has pairs of (threshold, share of wrong items below it): images with each other
    category as the expected one. Both shares are on the safe side: of new images, in expectation, at most
    that share of the right ones and at least that share of the wrong ones are below the threshold.
    """

    images: int
    right: ShareSteps
    wrong: ShareSteps


class Thresholds(NamedTuple):
    """Probabilities of the expected category: below `mismatch` a mismatch, from `match` on a match.

    `mismatch` <= `match`. `measured` is False if both come from an assumption.
    """

    mismatch: float
    match: float
    measured: bool


class VerdictThresholds(NamedTuple):
    """The thresholds of a model: for an expected label, and for an expected main category."""

    label: Thresholds
    main: Thresholds
