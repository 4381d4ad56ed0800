"""Recommendations as words for people: why a product is recommended, and what did not count."""

from collections.abc import Sequence

from returns_pipeline.languages import N_, Words, gettext
from returns_pipeline.records.recommendations import Part, Recommendations, Recommended
from returns_pipeline.report import product_words

PARTS = Words(
    {
        Part.LOOK: N_("look"),
        Part.ATTRIBUTES: N_("attributes"),
        Part.PRICE: N_("price"),
        Part.RATING: N_("rating"),
        Part.AVAILABILITY: N_("stock"),
        Part.TASTE: N_("the customer's taste"),
    }
)

#: Attributes by `records.recommendations.attribute_name`; others are shown under their own names.
ATTRIBUTES = Words(
    {
        "article type": N_("article type"),
        "tags": N_("kind"),
        "colour": N_("colour"),
        "gender": N_("gender"),
        "brand": N_("brand"),
        "usage": N_("usage"),
        "material": N_("material"),
        "season": N_("season"),
        "size": N_("size"),
    }
)

#: Most attributes that a reason names.
_MOST_NAMED = 3
#: The cosine from which two products look alike to a person.
_ALIKE = 0.6


def reasons(item: Recommended) -> list[str]:
    """Return why a product is recommended, part by part."""
    found = (reason(item, each.part) for each in item.parts)
    return [each for each in found if each]


def reason(item: Recommended, part: Part) -> str:
    """Return what a part says for a product, in a few words; empty if it says nothing."""
    match part:
        case Part.LOOK:
            return gettext("looks alike") if item.look is not None and item.look >= _ALIKE else ""
        case Part.ATTRIBUTES:
            return _agreement(item)
        case Part.PRICE:
            return _price(item.price_ratio)
        case Part.RATING:
            return product_words.rating(item.product)
        case Part.AVAILABILITY:
            return gettext("in stock") if item.product.stock else gettext("stock not known")
        case Part.TASTE:
            return _taste(item)


def _agreement(item: Recommended) -> str:
    if item.shared:
        named = [ATTRIBUTES.get(name, name) for name in item.shared[:_MOST_NAMED]]
        return gettext("same {names}", names=_listed(named))
    return gettext("same category") if item.same_category else ""


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return gettext("{names} and {last}", names=", ".join(names[:-1]), last=names[-1])


def _price(ratio: float | None) -> str:
    if ratio is None:
        return ""
    percent = round(100 * abs(ratio - 1))
    if not percent:
        return gettext("same price")
    if ratio < 1:
        return gettext("{percent} % cheaper", percent=percent)
    return gettext("{percent} % dearer", percent=percent)


def _taste(item: Recommended) -> str:
    if item.together:
        return gettext("kept by the same customers")
    return gettext("like what this customer kept") if item.fits_taste else ""


def missing(found: Recommendations) -> str:
    """Return a sentence about the parts that did not count; empty if all did."""
    names = [PARTS[part] for part in found.missing]
    return gettext("Not considered, because it is not known: {parts}.", parts=_listed(names)) if names else ""
