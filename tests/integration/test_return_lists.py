"""Lists of returns: every return once, in the order that is asked for, by an index on both databases."""

import re
from collections import Counter
from datetime import date
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa

from returns_pipeline.records.return_lists import (
    GROUPS,
    WORST_FIRST,
    Decided,
    ReturnFilter,
    ReturnOrder,
    ReturnPlace,
    VerdictGroup,
)
from returns_pipeline.records.verdicts import VerdictKind
from returns_pipeline.store import return_lists, return_photos, return_search
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import returns
from returns_pipeline.usecases import return_decisions
from returns_pipeline.usecases.runs import scan
from tests.return_rows import add_returns
from tests.support import Installation, write_images

_COUNT = 72
_READS_ALL = re.compile(r"SCAN (returns|images)\b(?! USING (COVERING )?INDEX)|Seq Scan on (returns|images)")
_DAY = date(2026, 11, 10)


@pytest.fixture
def db(home: Installation) -> Database:
    """Give a database with returns of every verdict; some are decided, and some have a photo."""
    write_images(home.settings.incoming_dir, 20)
    context, queue = home.in_process()
    scan(context, "night")
    queue.deliver(context)
    with home.database.read() as connection:
        photos = list(connection.execute(sa.text("SELECT id FROM images ORDER BY id")).scalars())
    add_returns(home.database, _COUNT, photos=photos)
    for number in range(3, _COUNT, 7):
        decision = "accept" if number % 2 else "reject"
        return_decisions.decide(home.database, f"R-{number:04}", decision, "", "ann")
    return home.database


FILTERS = [
    ReturnFilter(verdict, decision, first=first)
    for verdict, decision, first in product(
        ("", VerdictKind.MISMATCH, VerdictGroup.TO_CHECK, VerdictGroup.WAITING),
        ("", Decided.OPEN, Decided.DECIDED, "reject"),
        (None, _DAY),
    )
] + [
    ReturnFilter(customer="C-0"),
    ReturnFilter(run_id=1),
    ReturnFilter(q="r-00"),
    ReturnFilter(q="11"),
    ReturnFilter(q="ord011", verdict=VerdictGroup.TO_CHECK),
    ReturnFilter(last=_DAY, customer="C-1"),
    ReturnFilter(q="100%_"),
]


def numbers(db: Database, wanted: ReturnFilter, order: ReturnOrder, size: int) -> list[str]:
    """Return the numbers of a list, page by page."""
    found: list[str] = []
    place = None
    while True:
        page = return_lists.page(db, wanted, order, place, size)
        found += [each.item.number for each in page.returns]
        place = page.next
        if place is None:
            return found


def expected(db: Database, wanted: ReturnFilter, order: ReturnOrder) -> list[str]:
    """Return the numbers of a list as Python finds them."""
    with db.read() as connection:
        rows = connection.execute(sa.select(returns)).all()
        text = sa.text("SELECT return_id FROM images WHERE run_id = 1 AND return_id IS NOT NULL")
        came = set(connection.execute(text).scalars())
    verdicts = GROUPS.get(wanted.verdict, [wanted.verdict] if wanted.verdict else WORST_FIRST)
    ranks = [str(each) if each else None for each in WORST_FIRST]
    kept = []
    for row in rows:
        texts = " ".join(filter(None, (row.number, row.order_number, row.customer))).lower()
        state = row.decision if wanted.decision in {"accept", "reject"} else _state(row.decision)
        if (
            row.verdict in verdicts
            and wanted.decision in {"", state}
            and wanted.customer in {"", row.customer}
            and (wanted.first is None or (row.announced_on and row.announced_on >= wanted.first))
            and (wanted.last is None or (row.announced_on and row.announced_on <= wanted.last))
            and (wanted.run_id is None or row.id in came)
            and wanted.q.lower() in texts
        ):
            kept.append(row)
    has_days = wanted.first or wanted.last
    kept.sort(key=lambda row: (row.announced_on if has_days else date.min, row.id), reverse=True)
    if order is ReturnOrder.WORST:
        kept.sort(key=lambda row: ranks.index(row.verdict))
    return [row.number for row in kept]


def _state(decision: str | None) -> str:
    return Decided.DECIDED if decision else Decided.OPEN


def test_every_list_has_its_returns_once_and_in_order(db: Database) -> None:
    """Whatever the filter, the order and the size of a page are, also backwards and counted."""
    for wanted, order in product(FILTERS, ReturnOrder):
        right = expected(db, wanted, order)
        assert numbers(db, wanted, order, 13) == right, (wanted, order)
        assert return_lists.count(db, wanted) == (len(right), False)
        batches = return_lists.batches(db, wanted, order)
        assert [each.item.number for batch in batches for each in batch] == right
        if len(right) > 9:
            first = return_lists.page(db, wanted, order, None, 5)
            second = return_lists.page(db, wanted, order, first.next, 4)
            again = return_lists.page(db, wanted, order, second.previous, 5, backwards=True)
            assert again == first._replace(previous=None), (wanted, order)
            before, after = return_lists.around(db, wanted, order, second.returns[0].item)
            assert (before, after) == (right[4], right[6])


def test_a_photo_and_its_return_lead_to_each_other(db: Database) -> None:
    """The photos of a return are those that belong to it, and a list says how many there are."""
    first = return_lists.page(db, ReturnFilter(q="R-0001"), ReturnOrder.NEWEST, None, 1).returns[0]
    assert first.photos == 1
    assert first.first_photo is not None
    (photo,) = return_photos.of_return(db, first.item.id)
    assert (photo.image.id, photo.source) == (first.first_photo, "code")
    found = return_photos.return_of(db, photo.image.id)
    assert found is not None
    assert found.number == "R-0001"
    assert return_photos.came_with(db, 1)
    assert not return_photos.came_with(db, 2)


def test_every_list_uses_an_index(db: Database) -> None:
    """No query of a list, a total or the beginning of a number reads a whole table.

    A part inside a number reads a range of the primary key.
    """
    statements: list[tuple[str, Any]] = []

    def remember(_c: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        statements.append((statement, parameters))

    sa.event.listen(db._engine, "before_cursor_execute", remember)
    try:
        for wanted, order in product(FILTERS, ReturnOrder):
            place = ReturnPlace(1, _DAY if wanted.first or wanted.last else None, 60)
            return_lists.page(db, wanted, order, place, 5)
            return_lists.page(db, wanted, order, place, 5, backwards=True)
            return_lists.count(db, wanted)
        return_lists.open_counts(db)
    finally:
        sa.event.remove(db._engine, "before_cursor_execute", remember)
    kinds = {statement: parameters for statement, parameters in statements if "FROM returns" in statement}
    assert len(kinds) > 40
    slow = {}
    for statement, parameters in kinds.items():
        plan = _plan(db, statement, parameters)
        if _READS_ALL.search(plan):
            slow[statement] = plan
    # All returns by their ids are the primary key itself.
    assert [each for each in slow if not re.search(r"WHERE (1 = 1|true)|FROM returns\s+ORDER BY", each)] == []


def test_open_returns_are_counted_up_to_a_limit(db: Database) -> None:
    """Each verdict has its number of open returns, and no more than the limit are read."""
    with db.read() as connection:
        rows = connection.execute(sa.select(returns.c.verdict).where(returns.c.decision.is_(None))).scalars()
        right = Counter(rows)
    assert len(right) > 2
    assert return_lists.open_counts(db) == right
    few = {verdict: min(total, 2) for verdict, total in right.items()}
    assert return_lists.open_counts(db, most=2) == few


def _plan(db: Database, statement: str, parameters: Any) -> str:
    with db.read() as connection:
        if db.is_sqlite:
            found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        else:
            # A small table is read whole by choice; an index that fits is used if that is forbidden.
            connection.exec_driver_sql("SET enable_seqscan = off")
            found = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        return "\n".join(str(row) for row in found)


def test_a_search_says_whether_it_compared_all(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says so when a part of a number was looked for among the newest returns only."""
    assert not return_search.is_partial(db)
    monkeypatch.setattr(return_search, "MOST_COMPARED", 10)
    assert return_search.is_partial(db)
    with db.read() as connection:
        assert return_search.ids(connection, "001", "") == []
        assert return_search.ids(connection, "R-001", "")[-1] == 10


def test_a_search_of_frequent_parts_is_bounded(db: Database) -> None:
    """A part that every number has finds at most the newest ones, so a page stays quick."""
    with db.read() as connection:
        assert len(return_search.ids(connection, "R-", "")) == _COUNT
        assert return_search.ids(connection, "R-0001", "C-1") == [1]
        assert return_search.ids(connection, "R-0001", "C-2") == []
