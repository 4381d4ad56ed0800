"""The rules of recommendations, without a database."""

import math
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from returns_pipeline.languages import use
from returns_pipeline.recommendations.attributes import Comparison, is_other_kind, traits_of
from returns_pipeline.recommendations.diversity import diverse
from returns_pipeline.recommendations.evaluation import evaluate
from returns_pipeline.recommendations.neighbours import neighbours_of
from returns_pipeline.recommendations.ranking import WEIGHTS, expected_rating, rank
from returns_pipeline.recommendations.taste import taste_vector, together
from returns_pipeline.records.catalogue import Product
from returns_pipeline.records.recommendations import (
    Candidate,
    Event,
    EventKind,
    Part,
    Question,
    RecommendationKind,
)
from returns_pipeline.report import recommendation_words
from tests.products import product

START = datetime(2026, 1, 1, tzinfo=UTC)
SHIRT = product("P", brand="Acme", attributes={"articleType": "Shirt", "Farbe": "Blue"}, rating=3.0)


def ranked(candidates: Sequence[Candidate], kind: str = "substitutes", limit: int = 5) -> list[str]:
    """Return the ids of what is recommended instead of SHIRT."""
    found = rank(Question(RecommendationKind(kind), limit, SHIRT), candidates)
    return [each.product.product_id for each in found.products]


def test_a_score_is_the_sum_of_its_parts_and_missing_parts_leave_no_gap() -> None:
    """Score = sum of weight * value; the weights of those that apply have the sum 1, the others are named."""
    found = rank(
        Question(RecommendationKind.SUBSTITUTES, 5, SHIRT),
        [Candidate(product("A", rating=4.0)), Candidate(product("B", price=None))],
    )
    assert {Part.LOOK, Part.TASTE} == set(found.missing)
    for each in found.products:
        assert each.score == pytest.approx(sum(part.value * part.weight for part in each.parts))
        assert sum(part.weight for part in each.parts) == pytest.approx(1)
        assert all(0 <= part.value <= 1 for part in each.parts)
        assert {part.part for part in each.parts} | set(found.missing) == set(Part) == set(WEIGHTS)


def test_what_cannot_replace_a_product_is_left_out() -> None:
    """No substitute is the product itself, sold out, discontinued, outside of the band, or another kind."""
    fields: dict[str, dict[str, object]] = {
        "P": {},
        "sold out": {"stock": 0},
        "gone": {"discontinued_at": START},
        "dear": {"price": Decimal("30.01")},
        "cheap": {"price": Decimal("9.99")},
        "trousers": {"attributes": {"Artikeltyp": "Trousers"}},
        "good": {"price": Decimal("30.00")},
        "unknown stock": {"stock": None},
        "other currency": {"price": Decimal("500.00"), "currency": "JPY"},
    }
    given = [Candidate(product(name, **values)) for name, values in fields.items()]
    assert set(ranked(given, limit=20)) == {"good", "unknown stock", "other currency"}
    assert {"dear", "cheap"} <= set(ranked(given, "similar", limit=20))
    assert not {"P", "sold out", "gone"} & set(ranked(given, "similar", limit=20))


def test_the_order_depends_on_the_products_alone() -> None:
    """The same candidates in any order give the same answer; ties go by the product id."""
    given = [Candidate(product(f"{number:02}", rating=4.0)) for number in range(30)]
    expected = ranked(given)
    assert expected[0] == "00"
    for seed in range(5):
        random.Random(seed).shuffle(given)  # noqa: S311 - test data
        assert ranked(given) == expected


def test_a_rare_value_counts_more_than_one_that_all_have() -> None:
    """Two products that share a rare colour agree more than two that share the common one."""
    colours = ["red"] * 18 + ["teal", "teal"]
    traits = [traits_of(product(str(n), attributes={"colour": c, "x": "y"})) for n, c in enumerate(colours)]
    comparison = Comparison(traits)
    other = traits_of(product("other", attributes={"colour": "green", "x": "y"}))
    assert comparison.agreement(traits[0], traits[1]).share == 1
    lost_rare = comparison.agreement(traits[18], other).share
    lost_common = comparison.agreement(traits[0], other).share
    assert lost_rare < lost_common < 1


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        ({"tags": ["fruit"]}, {"Tags": ["meat"]}, True),
        ({"tags": ["fruit", "fresh"]}, {"tags": ["fresh", "meat"]}, False),
        ({"gender": "Women"}, {"gender": "Men"}, True),
        ({"gender": "Women"}, {"Geschlecht": "Unisex"}, False),
        ({"colour": "red"}, {"colour": "blue"}, False),
        ({"type": "Shirt"}, {}, False),
    ],
)
def test_kinds(mine: dict[str, str], theirs: dict[str, str], expected: bool) -> None:
    """Tags, type and gender tell kinds apart; what one of both does not say tells nothing."""
    found = is_other_kind(
        traits_of(product("A", attributes=mine)), traits_of(product("B", attributes=theirs))
    )
    assert found is expected


def test_few_ratings_are_drawn_to_the_mean_of_all() -> None:
    """5.0 by one rating is less than 4.6 by 200; without a rating it is the mean."""

    def rated(rating: float | None, ratings: int | None) -> Product:
        return product("A", rating=rating, ratings=ratings)

    assert expected_rating(rated(5.0, 1), 3.0) == pytest.approx((5 * 3 + 5) / 6)
    assert expected_rating(rated(5.0, 1), 3.0) < expected_rating(rated(4.6, 200), 3.0)
    assert expected_rating(rated(None, None), 3.7) == 3.7
    assert expected_rating(rated(5.0, 0), 3.7) == 3.7
    assert 3.0 < expected_rating(rated(5.0, None), 3.0) < 5.0


def test_diverse_products_come_before_copies_of_the_best() -> None:
    """A copy of the best gives way to a product that is a little worse and different; all come in the end."""
    kinds = [0, 0, 1]
    chosen = diverse([0.9, 0.9, 0.8], lambda one, other: float(kinds[one] == kinds[other]), 3)
    assert chosen == [0, 2, 1]


def test_the_look_and_the_taste_move_the_order() -> None:
    """The candidate that looks like the product wins; a customer who returned that look gets the other."""
    looks = np.eye(2, dtype=np.float32)
    given = [Candidate(product("A"), looks[0]), Candidate(product("B"), looks[1])]
    question = Question(RecommendationKind.SUBSTITUTES, 2, SHIRT, looks[1])
    assert rank(question, given).products[0].product.product_id == "B"
    taste = taste_vector([(EventKind.KEPT, looks[0]), (EventKind.RETURNED, looks[1])])
    assert taste is not None
    assert np.linalg.norm(taste) == pytest.approx(1)
    without = question._replace(look=None, taste=taste)
    assert rank(without, given).products[0].product.product_id == "A"
    assert taste_vector([(EventKind.KEPT, looks[0]), (EventKind.RETURNED, looks[0])]) is None


def test_reasons_are_words_in_both_languages() -> None:
    """Every part that counts is said as a person would."""
    other = product(
        "A",
        brand="Acme",
        attributes={"Artikeltyp": "shirt", "colour": "blue"},
        price=Decimal("17.60"),
        rating=4.6,
        ratings=1200,
    )
    (found,) = rank(Question(RecommendationKind.SUBSTITUTES, 1, SHIRT), [Candidate(other)]).products
    assert recommendation_words.reasons(found) == [
        "same article type, colour and brand",
        "12 % cheaper",
        "4.6 of 5, 1,200 ratings",
        "in stock",
    ]
    with use("de"):
        assert recommendation_words.reasons(found) == [
            "gleich: Artikelart, Farbe und Marke",
            "12 % günstiger",
            "4,6 von 5, 1.200 Bewertungen",
            "auf Lager",
        ]


def _world(customers: int, seed: int = 3, liking: float = 0.8) -> Iterator[Event]:
    """Yield what customers keep who like one of ten styles each, with some chance in it; 200 products.

    `liking` is the share of what they order that is of their style.
    """
    chance = random.Random(seed)  # noqa: S311 - test data
    for customer in range(customers):
        style = customer % 10
        for moment in range(8):
            liked = chance.random() < liking
            number = style * 20 + chance.randrange(20) if liked else chance.randrange(200)
            kind = EventKind.KEPT if liked or chance.random() < 0.3 else EventKind.RETURNED
            yield Event(f"K{customer}", f"P{number:03}", kind, START + timedelta(days=moment))


def test_tastes_are_found_in_a_world_that_has_them() -> None:
    """Where customers have styles, taste beats popularity and chance clearly, in recall and in NDCG."""
    found = evaluate(_world(600)).qualities
    taste, popular, random_ones = found["taste"], found["popularity"], found["random"]
    assert taste.recall > 3 * max(popular.recall, random_ones.recall)
    assert taste.ndcg > 3 * max(popular.ndcg, random_ones.ndcg)
    assert taste.coverage > popular.coverage
    assert random_ones.recall == pytest.approx(10 / 200, abs=0.04)


def test_no_taste_is_found_in_a_world_of_chance() -> None:
    """Where customers order by chance, no recommender is better than chance: a good figure would be a lie."""
    found = evaluate(_world(900, liking=0.0)).qualities
    for name in ("taste", "popularity", "random"):
        assert found[name].recall == pytest.approx(10 / 200, abs=0.03), name
        assert found[name].ndcg < 0.04, name


def test_the_figures_are_those_of_their_definitions() -> None:
    """By hand: three of four kept B last, which comes first, and one kept C, which comes second."""
    kept = [("K1", "B"), ("K2", "B"), ("K3", "B"), ("K4", "C")]
    events = [Event(who, "A", EventKind.KEPT, START) for who, _ in kept]
    events += [Event(who, last, EventKind.KEPT, START + timedelta(days=1)) for who, last in kept]
    found = evaluate([*events, Event("K4", "D", EventKind.VIEWED, START)])
    assert (found.customers, found.products, found.events) == (4, 3, 9)
    second = 1 / math.log2(3)
    assert found.qualities["popularity"] == pytest.approx((1.0, (3 + second) / 4, 2 / 3))
    without = evaluate([*events, Event("K4", "B", EventKind.RETURNED, START)]).qualities["popularity"]
    assert without.ndcg == 1.0


def test_nothing_is_found_where_there_is_nothing() -> None:
    """Without events, and with customers who kept one product only, nothing is measured and nothing fails."""
    alone = [Event(f"K{n}", "P", EventKind.KEPT, START) for n in range(3)]
    for events in ([], alone):
        found = evaluate(events)
        assert (found.customers, found.qualities["taste"].recall) == (0, 0.0)
    assert neighbours_of([]) == {}


def test_neighbours_need_two_customers_and_many_count_more() -> None:
    """One customer in common is chance; of equal cosines, the one of more customers is larger."""
    kept = [("K1", "A"), ("K1", "B")]
    assert neighbours_of(kept) == {}
    kept += [(f"K{n}", product) for n in (2, 3) for product in ("A", "B")]
    kept += [(f"L{n}", product) for n in range(9) for product in ("C", "D")]
    found = neighbours_of(kept)
    assert found["A"] == {"B": pytest.approx(3 / 5)}
    assert found["C"]["D"] == pytest.approx(9 / 11)
    assert together(["A"], found) == {"B": 1.0}
    assert together(["A", "B"], found) == {}
