"""Products for people: their names, prices, stocks and attributes."""

from decimal import Decimal

from returns_pipeline.languages import N_, Words, decimal, gettext, ngettext, number, percent, short
from returns_pipeline.languages import category as category_word
from returns_pipeline.records.catalogue import PATH_SEPARATOR, AttributeValue, Product, ProductState

#: Whether the shop still sells a product.
STATES = Words(
    {
        ProductState.LISTED: N_("on sale"),
        ProductState.DISCONTINUED: N_("not on sale any more"),
    }
)


def counted(total: int, more: bool = False) -> str:
    """Return a number of products."""
    if more:
        return ngettext("more than {count} product", "more than {count} products", total)
    return ngettext("{count} product", "{count} products", total)


def name(item: Product) -> str:
    """Return the title of a product; without one, the narrowest part of its category, or its id."""
    return item.title or (item.category or "").rpartition(PATH_SEPARATOR)[2] or item.product_id


def price(item: Product) -> str:
    """Return the price with its currency; empty without one."""
    if item.price is None:
        return ""
    return f"{_amount(item.price)} {item.currency or ''}".strip()


def _amount(value: Decimal) -> str:
    return decimal(float(value), 2)


def stock(item: Product) -> str:
    """Return how many there are; empty if it is not known."""
    if item.stock is None:
        return ""
    return number(item.stock) if item.stock else gettext("out of stock")


def in_stock(item: Product) -> str:
    """Return a sentence about the stock; empty if it is not known."""
    if not item.stock:
        return stock(item)
    return ngettext("{count} in stock", "{count} in stock", item.stock)


def rating(item: Product) -> str:
    """Return the mean rating and how many there are; empty without one."""
    if item.rating is None:
        return ""
    if item.ratings is None:
        return gettext("{rating} of 5", rating=short(item.rating))
    ratings = ngettext("{count} rating", "{count} ratings", item.ratings)
    return gettext("{rating} of 5, {ratings}", rating=short(item.rating), ratings=ratings)


def attribute(value: AttributeValue) -> str:
    """Return the value of an attribute."""
    if isinstance(value, list):
        return ", ".join(attribute(each) for each in value)
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    return str(value)


def reasons(cosine: float | None, category: str | None) -> list[str]:
    """Return why a product is found: how alike the looks are, and the category that it shares."""
    found = []
    if cosine is not None:
        found.append(gettext("looks {share} alike", share=percent(max(cosine, 0), 0)))
    if category is not None:
        found.append(gettext("same category as the photo: {category}", category=category_word(category)))
    return found
