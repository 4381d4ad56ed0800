"""What the first page says of returns: how many are not decided, and which of them to look at first."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from returns_pipeline.languages import N_, gettext, number
from returns_pipeline.records.return_lists import (
    GROUPS,
    Decided,
    ListedReturn,
    ReturnOrder,
    VerdictGroup,
)
from returns_pipeline.records.verdicts import VerdictKind
from returns_pipeline.store import return_lists
from returns_pipeline.web.queries.return_lists import ReturnList
from returns_pipeline.web.resources import Resources

#: The returns that the first page lists.
_MOST_LISTED = 12
#: The numbers of the first page: the verdict or the group, its name, and whether it is a warning.
_COUNTED = (
    (VerdictGroup.EXPECTED, N_("Expected"), False),
    (VerdictGroup.ARRIVED, N_("Arrived"), False),
    (VerdictKind.MISMATCH, N_("Another category"), True),
    (VerdictKind.REUSED_PHOTO, N_("Photo used before"), True),
    (VerdictKind.NO_PHOTO, N_("Missing"), True),
    (VerdictKind.UNEXPECTED, N_("Not announced"), True),
)


#: The returns that a person goes through one by one.
TO_CHECK = ReturnList(verdict=VerdictGroup.TO_CHECK, decision=Decided.OPEN, order=ReturnOrder.WORST)


class Total(NamedTuple):
    """A number of returns, and whether there are more of them."""

    at_least: int
    has_more: bool

    @property
    def text(self) -> str:
        """The number for people: `12`, or `5,000+` if there are more."""
        return f"{number(self.at_least)}{'+' if self.has_more else ''}"


class OpenCount(NamedTuple):
    """A number of returns that are not decided, with the address of their list."""

    name: str
    total: Total
    address: str
    is_warning: bool


class OpenReturns(NamedTuple):
    """The returns that are not decided: their numbers, and the worst of them. `address` lists these."""

    counts: Sequence[OpenCount]
    worst: Sequence[ListedReturn]
    to_check: Total
    address: str


def returns_to_check(web: Resources) -> OpenReturns | None:
    """Return the returns that are not decided; None if the database has no return at all."""
    by_verdict = web.open_returns()
    if not by_verdict and return_lists.is_empty(web.context.db):
        return None
    counts = []
    for wanted, name, is_warning in _COUNTED:
        verdicts = GROUPS.get(wanted, [wanted])
        total = _total(by_verdict, verdicts)
        listed = ReturnList(verdict=wanted, decision=Decided.OPEN)
        counts.append(OpenCount(gettext(name), total, listed.address(), is_warning and total.at_least > 0))
    worst = return_lists.page(web.context.db, TO_CHECK.filter, TO_CHECK.by, None, _MOST_LISTED).returns
    to_check = max(count_to_check(web), Total(len(worst), has_more=False))
    return OpenReturns(counts, worst, to_check, TO_CHECK.address())


def count_to_check(web: Resources) -> Total:
    """Return how many returns a person should look at, as counted some seconds ago."""
    return _total(web.open_returns(), GROUPS[VerdictGroup.TO_CHECK])


def count_worst(web: Resources) -> tuple[Total, Total]:
    """Return how many of these are another item, and how many have a photo that was used before."""
    by_verdict = web.open_returns()
    return _total(by_verdict, [VerdictKind.MISMATCH]), _total(by_verdict, [VerdictKind.REUSED_PHOTO])


def _total(by_verdict: Mapping[str | None, int], verdicts: Sequence[str | None]) -> Total:
    found = [by_verdict.get(each, 0) for each in verdicts]
    return Total(sum(found), any(each >= return_lists.MOST_OPEN for each in found))
