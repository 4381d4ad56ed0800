"""Numbers with their nouns."""

from returns_pipeline.languages import N_, gettext, ngettext, percent


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun: `1 photo`, `1,200 photos`. `many` is needed if it is not `one` + s.

    The extraction finds the nouns of calls with literals. A sentence around it needs no other form in German
    unless it uses another case than the nominative: such a sentence takes `ngettext` as a whole.
    """
    return ngettext(f"{{count}} {one}", f"{{count}} {many or one + 's'}", count)


#: What `with_article` returns for the roles, so that a refusal can be told in another language.
_WITH_ARTICLE = (N_("a viewer"), N_("a reviewer"), N_("an operator"), N_("an admin"))


def with_article(noun: str) -> str:
    """Return an English noun after `a` or `an`, which its first letter decides: `an operator`."""
    return f"{'an' if noun[:1].lower() in set('aeiou') else 'a'} {noun}"


def percentage(share: float) -> str:
    """Return a share, 0 to 1, as a percentage. One that is neither 0 nor 1 is not rounded to 0 % or 100 %."""
    if 0 < share < 0.01:
        return gettext("less than 1 %")
    if 0.99 < share < 1:
        return gettext("more than 99 %")
    return percent(share, 0)
