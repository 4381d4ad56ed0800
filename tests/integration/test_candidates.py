"""Which products are next in price, on both databases."""

import random
from decimal import Decimal

import pytest

from returns_pipeline.store import candidates
from tests.products import add_products, product
from tests.support import Installation


@pytest.mark.parametrize("currency", ["EUR", None])
@pytest.mark.parametrize("category", ["Shirts", None])
def test_the_next_in_price_are_those_of_a_sorted_list(
    home: Installation, currency: str | None, category: str | None
) -> None:
    """With and without a currency, a category and a band, the query finds what sorting all prices finds."""
    chance = random.Random(27)  # noqa: S311 - test data
    given = [
        product(
            f"{number}",
            category=chance.choice([category, category, "Other"]),
            currency=chance.choice([currency, currency, currency, "USD", "CHF", None]),
            price=chance.choice(
                [None, *(Decimal(chance.randrange(1000, 3000)).scaleb(-2) for _ in range(9))]
            ),
            stock=chance.choice([None, 0, 5, 5]),
        )
        for number in range(150)
    ]
    rows = add_products(home.database, given)
    asked = product("asked", category=category, currency=currency)
    of_kind = [each for each in given if each.category == category and each.stock != 0]
    comparable = sorted(
        (abs(each.price - 20), rows[each.product_id], each.product_id)
        for each in of_kind
        if each.currency == currency and each.price is not None
    )
    others = {each.product_id for each in of_kind} - {name for *_, name in comparable}
    assert min(len(comparable), len(others)) > 10
    in_band = [each for each in comparable if each[0] <= 5]
    for band, expected in ((None, comparable), ((Decimal(15), Decimal(25)), in_band)):
        nearest = [name for *_, name in expected]
        for most in (1, 9, len(nearest), len(nearest) + 3, 999):
            found = candidates.next_in_price(home.database, asked, most, band)
            known = {each.product_id for each in found}
            assert known - others == set(nearest[:most])
            assert len(known) == min(most, len(nearest) + len(others))
