"""Lists of returns: what is asked for, and in which order."""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from returns_pipeline.records.returns import Return
from returns_pipeline.records.verdicts import VerdictKind

#: The worst verdict first, as a person goes through them. None: the return waits for its photos.
WORST_FIRST: tuple[VerdictKind | None, ...] = (
    VerdictKind.MISMATCH,
    VerdictKind.REUSED_PHOTO,
    VerdictKind.UNEXPECTED,
    VerdictKind.UNREADABLE,
    VerdictKind.UNSURE,
    VerdictKind.NO_PHOTO,
    VerdictKind.MATCH,
    None,
)


class VerdictGroup(StrEnum):
    """Several verdicts that a list can be filtered by together.

    `to check`: everything that a person should look at. `waiting`: announced, and no verdict yet.
    """

    TO_CHECK = "to check"
    EXPECTED = "expected"
    ARRIVED = "arrived"
    WAITING = "waiting"


GROUPS: Mapping[str, Sequence[VerdictKind | None]] = {
    VerdictGroup.TO_CHECK: [each for each in WORST_FIRST if each not in {VerdictKind.MATCH, None}],
    VerdictGroup.EXPECTED: [each for each in WORST_FIRST if each is not VerdictKind.UNEXPECTED],
    VerdictGroup.ARRIVED: [each for each in WORST_FIRST if each not in {VerdictKind.NO_PHOTO, None}],
    VerdictGroup.WAITING: [None],
}


class ReturnOrder(StrEnum):
    """The order of a list: the newest first, or by WORST_FIRST and the newest of each verdict first.

    The newest returns have the highest ids; in a list of days, the last day comes first.
    """

    NEWEST = "newest"
    WORST = "worst"


class Decided(StrEnum):
    """Whether a person has decided a return."""

    OPEN = "open"
    DECIDED = "decided"


class ReturnFilter(NamedTuple):
    """A filter for returns; None or an empty text means all.

    `verdict` is one of VerdictKind or of GROUPS; `decision` one of Decided or of ReturnDecision; `q` a part
    of the number, the order or the customer. `first` and `last` are days of the announcement. `run_id`
    chooses the returns of which a photo came with a run. `ids` are what a search and a customer were found
    to be, see `store.return_lists.resolved`.
    """

    verdict: str = ""
    decision: str = ""
    customer: str = ""
    first: date | None = None
    last: date | None = None
    run_id: int | None = None
    q: str = ""
    ids: tuple[int, ...] | None = None


class ReturnPlace(NamedTuple):
    """The place of a return in a list: that of its verdict in WORST_FIRST, its day and its id.

    The first is 0 in the order NEWEST. The day is None in a list without days.
    """

    rank: int
    day: date | None
    id: int


class ListedReturn(NamedTuple):
    """A return in a list, with the number of its photos and the first of them."""

    item: Return
    photos: int
    first_photo: int | None


class ReturnPage(NamedTuple):
    """A page of a list, and the places of the pages around it; None where there are no more."""

    returns: Sequence[ListedReturn]
    previous: ReturnPlace | None
    next: ReturnPlace | None
