"""Two people decide one return, on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from returns_pipeline.errors import ConflictError, NotFoundError, RefusedError
from returns_pipeline.records.audit import AuditFilter
from returns_pipeline.records.notices import NoticeKind
from returns_pipeline.store import (
    audit,
    outbox,
    return_decisions,
    returns,
)
from returns_pipeline.usecases import return_decisions as decisions
from tests.returns import (
    actions,
    announce,
)
from tests.support import Installation


def test_two_people_decide_one_return(home: Installation) -> None:
    """The second is told who decided and when; a person who saw that decision may replace it."""
    database = home.database
    announce(database, {"RMA-1": "white"})
    decisions.decide(database, "RMA-1", "accept", "fits", "ann")
    decisions.decide(database, "RMA-1", "accept", "fits", "ann")
    with pytest.raises(ConflictError, match=r"ann has decided return RMA-1 meanwhile, on .* UTC: accept"):
        decisions.decide(database, "RMA-1", "reject", "", "ben")
    found = returns.find(database, "RMA-1")
    assert found is not None
    assert (found.decision, found.decided_by, found.decision_note) == ("accept", "ann", "fits")
    seen = return_decisions.version(database, found.id)
    decisions.decide(database, "RMA-1", "another_photo", "blurred", "ben", seen)
    with pytest.raises(ConflictError, match="ben"):
        decisions.decide(database, "RMA-1", "open", "", "ann", seen)
    newest = return_decisions.version(database, found.id)
    assert decisions.decide(database, "RMA-1", "open", "", "ann", newest).decision is None
    with pytest.raises(ConflictError, match="ann has taken back"):
        decisions.decide(database, "RMA-1", "reject", "", "ben", newest)
    assert actions(database, "RMA-1") == ["decision"] * 3
    told = [notice for notice, _ in outbox.latest(database, 50) if notice.kind is NoticeKind.RETURN_DECIDED]
    assert [notice.data["decision"] for notice in told] == [None, "another_photo", "accept"]
    logged = audit.page(database, AuditFilter(action="return_decide"), None, 50)
    assert [(each.who, each.subject_id) for each in logged] == [
        ("ann", "RMA-1"),
        ("ben", "RMA-1"),
        ("ann", "RMA-1"),
    ]
    with pytest.raises(NotFoundError):
        decisions.decide(database, "RMA-9", "accept", "", "ann")
    with pytest.raises(RefusedError):
        decisions.decide(database, "RMA-1", "perhaps", "", "ann")


def test_simultaneous_decisions(home: Installation) -> None:
    """Of people who decide at the same moment, one does, and every other is told."""
    announce(home.database, {"RMA-1": "white"})

    def attempt(who: str) -> bool:
        try:
            decisions.decide(home.database, "RMA-1", "accept", who, who)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(attempt, ["ann", "ben", "cem", "dee"]))
    assert done.count(True) == 1
    assert actions(home.database, "RMA-1") == ["decision"]
