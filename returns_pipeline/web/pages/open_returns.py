"""What the first page says of returns: how many are not decided, and which of them to look at first."""

from collections.abc import Sequence
from typing import NamedTuple

from returns_pipeline.languages import N_, gettext
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


class OpenCount(NamedTuple):
    """A number of returns that are not decided, with the address of their list."""

    name: str
    total: int
    address: str
    is_warning: bool


class OpenReturns(NamedTuple):
    """The returns that are not decided: their numbers, and the worst of them. `address` lists these."""

    counts: Sequence[OpenCount]
    worst: Sequence[ListedReturn]
    to_check: int
    address: str


def returns_to_check(web: Resources) -> OpenReturns | None:
    """Return the returns that are not decided; None if the database has no return at all."""
    by_verdict = web.open_returns()
    if not by_verdict and return_lists.is_empty(web.context.db):
        return None
    counts = []
    for wanted, name, is_warning in _COUNTED:
        verdicts = GROUPS.get(wanted, [wanted])
        total = sum(by_verdict.get(each, 0) for each in verdicts)
        listed = ReturnList(verdict=wanted, decision=Decided.OPEN)
        counts.append(OpenCount(gettext(name), total, listed.address(), is_warning and total > 0))
    worst = return_lists.page(web.context.db, TO_CHECK.filter, TO_CHECK.by, None, _MOST_LISTED).returns
    return OpenReturns(counts, worst, max(count_to_check(web), len(worst)), TO_CHECK.address())


def count_to_check(web: Resources) -> int:
    """Return how many returns a person should look at, as counted some seconds ago."""
    by_verdict = web.open_returns()
    return sum(by_verdict.get(each, 0) for each in GROUPS[VerdictGroup.TO_CHECK])


def count_worst(web: Resources) -> tuple[int, int]:
    """Return how many of these are another item, and how many have a photo that was used before."""
    by_verdict = web.open_returns()
    return by_verdict.get(VerdictKind.MISMATCH, 0), by_verdict.get(VerdictKind.REUSED_PHOTO, 0)
