"""Words for the verdicts of returns."""

from collections.abc import Mapping

from returns_pipeline.languages import N_, Words, category, gettext, number, percent
from returns_pipeline.records.verdicts import ProductFacts, Verdict, VerdictKind, VerdictReason
from returns_pipeline.report.words.counting import percentage
from returns_pipeline.report.words.photos import REVIEW_OUTCOMES

#: The verdicts on a return.
VERDICTS = Words(
    {
        VerdictKind.MATCH: N_("as expected"),
        VerdictKind.MISMATCH: N_("another item"),
        VerdictKind.UNSURE: N_("unsure"),
        VerdictKind.UNEXPECTED: N_("not announced"),
        VerdictKind.NO_PHOTO: N_("no photo"),
        VerdictKind.REUSED_PHOTO: N_("photo used before"),
        VerdictKind.UNREADABLE: N_("photo empty or unreadable"),
        VerdictKind.UNKNOWN: N_("unknown"),
    }
)


#: Why a return has its verdict, by kind and reason: the sentences for one photo and for several. `{expected}`
#: and `{found}` are categories, `{sure}` is a percentage, `{count}` a number of photos. `{earlier}` are
#: numbers of returns. `{product}` and `{other}` are ids of products, `{like}` and `{other_like}` percentages,
#: `{rare}` is a share of right items.
VERDICT_SENTENCES: Mapping[tuple[str, str], tuple[str, str]] = {
    (VerdictKind.MATCH, VerdictReason.PROBABLE): (
        N_("Expected: {expected}. The photo shows that, with a probability of {sure}."),
        N_("Expected: {expected}. The {count} photos show that, with a probability of {sure}."),
    ),
    (VerdictKind.MATCH, VerdictReason.REVIEWED): (
        N_("Expected: {expected}. A reviewer saw that in the photo."),
        N_("Expected: {expected}. Reviewers saw that in {count} photos."),
    ),
    (VerdictKind.MISMATCH, VerdictReason.PROBABLE): (
        N_(
            "Expected: {expected}. The photo shows: {found}. The category is another one with a "
            "probability of {sure}."
        ),
        N_(
            "Expected: {expected}. The {count} photos show: {found}. The category is another one with a "
            "probability of {sure}."
        ),
    ),
    (VerdictKind.MISMATCH, VerdictReason.REVIEWED): (
        N_("Expected: {expected}. A reviewer saw in the photo: {found}."),
        N_("Expected: {expected}. Reviewers saw in {count} photos: {found}."),
    ),
    (VerdictKind.UNSURE, VerdictReason.PROBABLE): (
        N_(
            "Expected: {expected}. The photo shows that with a probability of {sure}; most probable is: "
            "{found}. A person must decide."
        ),
        N_(
            "Expected: {expected}. The {count} photos show that with a probability of {sure}; most probable "
            "is: {found}. A person must decide."
        ),
    ),
    (VerdictKind.UNSURE, VerdictReason.REVIEWS_DIFFER): (
        N_("Expected: {expected}. Reviewers saw that and also: {found}."),
        N_("Expected: {expected}. In {count} photos, reviewers saw that and also: {found}."),
    ),
    (VerdictKind.UNSURE, VerdictReason.NO_CATEGORY): (
        N_("No category was announced. The photo shows: {found}."),
        N_("No category was announced. The {count} photos show: {found}."),
    ),
    (VerdictKind.UNSURE, VerdictReason.UNKNOWN_CATEGORY): (
        N_("Expected: {expected}. The model does not know this category. The photo shows: {found}."),
        N_("Expected: {expected}. The model does not know this category. The {count} photos show: {found}."),
    ),
    (VerdictKind.UNSURE, VerdictReason.UNFAMILIAR): (
        N_("The photo is unlike anything the model was trained on. A person must decide."),
        N_("{count} photos are unlike anything the model was trained on. A person must decide."),
    ),
    (VerdictKind.UNEXPECTED, VerdictReason.NOT_ANNOUNCED): (
        N_("No return with this number was announced."),
        N_("No return with this number was announced."),
    ),
    (VerdictKind.NO_PHOTO, VerdictReason.NOTHING_CAME): (
        N_("The return was announced, but no photo of it came in time."),
        N_("The return was announced, but no photo of it came in time."),
    ),
    (VerdictKind.REUSED_PHOTO, VerdictReason.SEEN_BEFORE): (
        N_("A photo of this return came in before, with return {earlier}."),
        N_("{count} photos of this return came in before, with: {earlier}."),
    ),
    (VerdictKind.MISMATCH, VerdictReason.OTHER_PRODUCT): (
        N_(
            "Expected: product {product}. The photo looks more like product {other}: {other_like} alike, "
            "against {like}. At most {rare} of right items look so."
        ),
    )
    * 2,
    (VerdictKind.UNSURE, VerdictReason.OTHER_PRODUCT): (
        N_(
            "Expected: product {product}. The photo looks more like product {other}: {other_like} alike, "
            "against {like}. Up to {rare} of right items look so. A person must decide."
        ),
    )
    * 2,
    (VerdictKind.UNREADABLE, VerdictReason.NOTHING_READABLE): (
        N_("The photo is empty or cannot be read."),
        N_("All {count} photos are empty or cannot be read."),
    ),
}


#: Why the photos of a return were used before, if no earlier return is known.
_SEEN_BEFORE = (
    N_("A photo of this return came in before."),
    N_("{count} photos of this return came in before."),
)

#: Follows the sentence of a verdict whose thresholds were not measured.
VERDICT_ASSUMED = N_("How sure the model must be was assumed, because it was not measured for this model.")


#: Follows the sentence of a verdict on a product for which no accepted returns were compared.
PRODUCT_ALTERED = N_(
    "How right items look was measured on altered pictures of the catalogue, not on photos of returns."
)


def verdict(found: Verdict) -> list[str]:
    """Return why a return has its verdict, and how sure that is, in sentences."""
    one, several = VERDICT_SENTENCES.get((found.kind, found.reason), (found.kind.value, found.kind.value))
    if found.reason is VerdictReason.SEEN_BEFORE and not found.earlier:
        one, several = _SEEN_BEFORE
    sentence = gettext(several if found.photos > 1 else one).format(
        expected=_category_or_outcome(found.expected),
        found=_category_or_outcome(found.found),
        sure="" if found.sureness is None else percentage(found.sureness),
        count=number(found.photos),
        earlier=", ".join(found.earlier),
        **_product(found.product),
    )
    if found.reason is VerdictReason.OTHER_PRODUCT:
        is_measured = found.product is None or found.product.accepted
        return [sentence] if is_measured else [sentence, gettext(PRODUCT_ALTERED)]
    return [sentence] if found.measured else [sentence, gettext(VERDICT_ASSUMED)]


def _product(facts: ProductFacts | None) -> dict[str, str]:
    if facts is None:
        return dict.fromkeys(("product", "other", "like", "other_like", "rare"), "?")
    return {
        "product": facts.product,
        "other": facts.other,
        "like": alike(facts.likeness),
        "other_like": alike(facts.other_likeness),
        "rare": percent(facts.rate, 1),
    }


def alike(cosine: float) -> str:
    """Return how alike two looks are, as a percentage."""
    return percent(max(cosine, 0), 0)


def _category_or_outcome(code: str) -> str:
    return REVIEW_OUTCOMES.get(code) or category(code)
