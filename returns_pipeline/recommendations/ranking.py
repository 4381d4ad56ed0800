"""Scores candidates and chooses among them. `docs/recommendations.md` has the formula with its reasons."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from returns_pipeline.recommendations.attributes import (
    Comparison,
    Traits,
    is_other_kind,
    is_same_kind,
    traits_of,
)
from returns_pipeline.recommendations.diversity import diverse
from returns_pipeline.records.catalogue import Product, ProductState
from returns_pipeline.records.recommendations import (
    Candidate,
    Part,
    PartOfScore,
    Question,
    RecommendationKind,
    Recommendations,
    Recommended,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: The weights of the parts. Those that apply to a question are scaled so that their sum is 1.
WEIGHTS: Mapping[Part, float] = {
    Part.LOOK: 0.3,
    Part.ATTRIBUTES: 0.25,
    Part.PRICE: 0.1,
    Part.RATING: 0.15,
    Part.AVAILABILITY: 0.05,
    Part.TASTE: 0.15,
}
#: The band of a substitute's price, as shares of the product's price.
CHEAPEST, DEAREST = 0.5, 1.5
#: The prior of a mean rating counts as much as this number of ratings.
PRIOR_RATINGS = 5
#: The mean rating without any product that is rated.
_MIDDLE_RATING = 3.0
_MOST_RATING = 5.0
#: The value of a part that is not known of this candidate.
_NOT_KNOWN = 0.5
#: Candidates beyond the limit that diversity may choose.
_MORE = 10


def mean_rating(products: Collection[Product]) -> float:
    """Return the mean of the ratings of products."""
    known = [each.rating for each in products if each.rating is not None]
    return sum(known) / len(known) if known else _MIDDLE_RATING


def expected_rating(product: Product, prior: float) -> float:
    """Return the mean rating that is expected of a product, 0 to 5.

    It is (C m + n r) / (C + n): r is the mean of n ratings, m the `prior` mean, C is PRIOR_RATINGS. This is
    the posterior mean of a normal distribution with a conjugate prior (Gelman et al., "Bayesian Data
    Analysis", 2013, 2.5). A rating without a number counts as C ratings.
    """
    if product.rating is None:
        return prior
    count = PRIOR_RATINGS if product.ratings is None else product.ratings
    return (PRIOR_RATINGS * prior + count * product.rating) / (PRIOR_RATINGS + count)


def price_ratio(product: Product | None, other: Product) -> float | None:
    """Return the price of the other product by that of a product; None if they cannot be compared."""
    if product is None or product.price is None or other.price is None or product.price <= 0:
        return None
    if product.currency != other.currency:
        return None
    return float(other.price / product.price)


def is_available(product: Product) -> bool:
    """Whether a product is sold and, as far as is known, in stock."""
    return product.state is ProductState.LISTED and product.stock != 0


def in_band(ratio: float | None) -> bool:
    """Whether a substitute may have this price; an unknown one may."""
    return ratio is None or CHEAPEST <= ratio <= DEAREST


def rank(question: Question, candidates: Sequence[Candidate]) -> Recommendations:
    """Return the best candidates in the order of their marginal relevance; ties go by product id.

    What is not available or of another kind is left out, and substitutes that are too cheap or too dear.
    """
    ranking = _Ranking(question, candidates)
    scored = sorted(ranking.scored(), key=lambda each: (-each[1].score, each[1].product.product_id))
    scored = scored[: question.limit + _MORE]
    places = diverse(
        [found.score for _, found in scored],
        lambda one, other: ranking.similarity(scored[one][0], scored[other][0]),
        question.limit,
    )
    return Recommendations([scored[place][1] for place in places], ranking.missing)


class _Compared(NamedTuple):
    candidate: Candidate
    traits: Traits


class _Ranking:
    """The candidates of one question."""

    def __init__(self, question: Question, candidates: Sequence[Candidate]) -> None:
        self._question = question
        product = question.product
        self._traits = traits_of(product) if product else {}
        self._all = [_Compared(each, traits_of(each.product)) for each in candidates if self._may(each)]
        self._all = [each for each in self._all if not self._is_other_kind(each)]
        self._comparison = Comparison([self._traits, *(each.traits for each in self._all)])
        rated = [each.candidate.product for each in self._all]
        self._prior = mean_rating(rated)
        self._is_rated = any(each.rating is not None for each in rated)
        self._weights = self._applying()

    @property
    def missing(self) -> list[Part]:
        """The parts that do not apply."""
        return [part for part in Part if part not in self._weights]

    def _may(self, candidate: Candidate) -> bool:
        other, product = candidate.product, self._question.product
        if not is_available(other) or (product and other.product_id == product.product_id):
            return False
        if self._question.kind is RecommendationKind.SUBSTITUTES:
            return in_band(price_ratio(product, other))
        return True

    def _is_other_kind(self, compared: _Compared) -> bool:
        """Whether it is another kind of product. Those of other categories may be similar all the same."""
        product = self._question.product
        if product is None:
            return False
        if compared.candidate.product.category == product.category:
            return is_other_kind(self._traits, compared.traits)
        is_substitute = self._question.kind is RecommendationKind.SUBSTITUTES
        return is_substitute and not is_same_kind(self._traits, compared.traits)

    def _is_of_category(self, compared: _Compared) -> bool:
        product = self._question.product
        category = compared.candidate.product.category
        return product is not None and category is not None and category == product.category

    def _applying(self) -> Mapping[Part, float]:
        """Return the weights of the parts that at least one candidate can have; their sum is 1."""
        question, product = self._question, self._question.product
        looks = any(each.candidate.look is not None for each in self._all)
        together = any(each.candidate.together for each in self._all)
        applies = {
            Part.LOOK: question.look is not None and looks,
            Part.ATTRIBUTES: product is not None,
            Part.PRICE: any(price_ratio(product, each.candidate.product) for each in self._all),
            Part.RATING: self._is_rated,
            Part.AVAILABILITY: True,
            Part.TASTE: (question.taste is not None and looks) or together,
        }
        total = sum(weight for part, weight in WEIGHTS.items() if applies[part])
        return {part: weight / total for part, weight in WEIGHTS.items() if applies[part]}

    def scored(self) -> list[tuple[_Compared, Recommended]]:
        """Return every candidate with its score and the facts behind it."""
        return [(each, self._score(each)) for each in self._all]

    def _score(self, compared: _Compared) -> Recommended:
        candidate, question = compared.candidate, self._question
        product = candidate.product
        look = _cosine(question.look, candidate.look)
        agreement = self._comparison.agreement(self._traits, compared.traits)
        ratio = price_ratio(question.product, product)
        taste = _cosine(question.taste, candidate.look)
        values = {
            Part.LOOK: max(0.0, look or 0.0),
            Part.ATTRIBUTES: agreement.share,
            Part.PRICE: _NOT_KNOWN if ratio is None else _price_value(ratio),
            Part.RATING: expected_rating(product, self._prior) / _MOST_RATING,
            Part.AVAILABILITY: _NOT_KNOWN if product.stock is None else float(product.stock > 0),
            Part.TASTE: max(candidate.together, (1 + taste) / 2 if taste is not None else 0.0),
        }
        parts = [PartOfScore(part, values[part], weight) for part, weight in self._weights.items()]
        return Recommended(
            product,
            sum(each.value * each.weight for each in parts),
            parts,
            agreement.same,
            self._is_of_category(compared),
            ratio,
            look,
            candidate.together,
            taste is not None and taste > 0.5,
        )

    def similarity(self, one: _Compared, other: _Compared) -> float:
        """Return how alike two candidates are, 0 to 1: in look if both have one, and in their attributes."""
        agreement = self._comparison.agreement(one.traits, other.traits).share
        look = _cosine(one.candidate.look, other.candidate.look)
        return agreement if look is None else (agreement + max(0.0, look)) / 2


def _price_value(ratio: float) -> float:
    """Return 1 for what is not dearer, falling to 0 at the end of the band. Far cheaper counts less, too."""
    if ratio <= 1:
        return 1.0 if ratio >= CHEAPEST else ratio / CHEAPEST
    return max(0.0, (DEAREST - ratio) / (DEAREST - 1))


def _cosine(one: "NDArray[np.float32] | None", other: "NDArray[np.float32] | None") -> float | None:
    if one is None or other is None or len(one) != len(other):
        return None
    return float(one @ other)
