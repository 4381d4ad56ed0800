"""Linking, judging and listing returns read no whole table, however many returns there are."""

# ruff: noqa: S608 - every value in these statements is a number of this file

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import sqlalchemy as sa

from returns_pipeline.records.return_lists import Decided, ReturnFilter, ReturnOrder, VerdictGroup
from returns_pipeline.store import return_lists, return_photos, return_verdicts, returns
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import return_decisions
from tests.returns import CODES, announce, close, night, with_returns, write_item, write_slip
from tests.support import Installation

_TABLES = "returns|return_events|returns_to_judge|images|image_codes|predictions"
_SQLITE_READS_ALL = re.compile(rf"SCAN (?:{_TABLES})\b(?! USING)")
#: The first rows in the order of the primary key.
_FIRST_ROWS = re.compile(r"FROM (\w+)\s+(?:WHERE (?:1 = 1|true) )?(?:ORDER BY \1\.\w*id(?: DESC)?)?\s+LIMIT")
_POSTGRES_READS_ALL = re.compile(r"Seq Scan on (?:returns|return_events)\b")
#: Rows that were read and discarded, and rows that were read or sorted.
_DISCARDED, _READ = re.compile(r"Rows Removed by Filter: (\d+)"), re.compile(r"actual rows=(\d+)")
_MOST_DISCARDED = 1000

#: Nearly all returns have one verdict and one decision; 30 % wait for their photos.
_RETURNS = 200_000
_LOAD = (
    "SET LOCAL session_replication_role = replica",
    f"""
    INSERT INTO returns (id, number, order_number, customer, announced_on, source, created_at, changed_at,
        verdict, due_at, decision)
    SELECT 1000 + n, 'R-' || n, 'ORD' || n, 'C-' || n / 3, date '2026-01-01' + n * 300 / {_RETURNS}, 'm.csv',
        now(), now(), verdict, now() + interval '1 day',
        CASE WHEN verdict IS NOT NULL AND n < {_RETURNS} * 9 / 10 THEN 'accept' END
    FROM generate_series(1, {_RETURNS}) AS n, LATERAL (
        SELECT CASE WHEN n / 10 * 7919 - n / 10 * 7919 / 100 * 100 < 30 THEN NULL
            WHEN n / 10 * 7919 - n / 10 * 7919 / 100 * 100 < 98 THEN 'match' ELSE 'mismatch' END AS verdict
    ) AS stands
    """,
    f"""
    INSERT INTO return_events (return_id, at, who, action, detail)
    SELECT 1000 + n, now(), 'ann', 'decision', '{{}}' FROM generate_series(1, {_RETURNS}) AS n
    """,
    "SELECT setval(pg_get_serial_sequence('returns', 'id'), 5000000)",
)
_DAY = date(2026, 6, 1)


def test_every_statement_of_a_night_with_returns_uses_an_index(home: Installation) -> None:
    """Links, verdicts, decisions and lists find their rows by an index, in their order."""
    if not home.database.is_sqlite:
        with home.database.write() as connection:
            for statement in _LOAD:
                connection.exec_driver_sql(statement)
        # What only reads has no transaction, within which VACUUM is refused.
        with home.database.read() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    announce(home.database, {"RMA-1": "white", "RMA-2": "dark"})
    intake = home.settings.incoming_dir
    write_slip(intake / "slips" / "1.png", "RMA-1")
    write_item(intake / "slips" / "2.png", "white")
    write_item(intake / "RMA-2" / "3.png", "dark", seed=1)
    pipeline = with_returns(home, **CODES, folder_pattern="^(RMA-[0-9]+)$")
    with _remembered(home) as statements:
        night(pipeline)
        announce(home.database, {"RMA-1": "dark"})
        _read(home)
    close(pipeline[0])
    assert len(statements) > 60
    assert _slow(home, statements) == {}


def _read(home: Installation) -> None:
    """Decide a return, and read what its page, the lists and the sweep read."""
    db = home.database
    return_decisions.decide(db, "RMA-1", "accept", "", "ann")
    found = returns.find(db, "RMA-1")
    assert found is not None
    returns.history(db, found.id)
    return_photos.of_return(db, found.id)
    assert return_verdicts.queue_overdue(db, utc_now()) == 0
    for wanted in (
        ReturnFilter(),
        ReturnFilter(decision=Decided.OPEN),
        ReturnFilter(decision=Decided.DECIDED, first=_DAY),
        ReturnFilter(VerdictGroup.WAITING, first=_DAY),
        ReturnFilter(VerdictGroup.TO_CHECK, last=_DAY),
        ReturnFilter(customer="C-77"),
        ReturnFilter(q="R-77"),
    ):
        for order in ReturnOrder:
            page = return_lists.page(db, wanted, order, None, 20)
            for place, backwards in ((page.next, False), (page.next, True)):
                return_lists.page(db, wanted, order, place, 20, backwards=backwards)
        return_lists.count(db, wanted)
    return_lists.decision_versions(db, [found.id])


@contextmanager
def _remembered(home: Installation) -> Iterator[dict[str, Any]]:
    """Record the statements that are executed in the block, each with the parameters of its last time."""
    found: dict[str, Any] = {}

    def remember(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
        if re.match(r"(SELECT|UPDATE|DELETE)", statement) and re.search(rf"\b(?:{_TABLES})\b", statement):
            found[statement] = parameters[0] if many else parameters

    sa.event.listen(home.database._engine, "before_cursor_execute", remember)
    try:
        yield found
    finally:
        sa.event.remove(home.database._engine, "before_cursor_execute", remember)


def _slow(home: Installation, statements: dict[str, Any]) -> dict[str, str]:
    """Return the statements that read or sort more than they need, with their plans."""
    slow = {}
    is_sqlite = home.database.is_sqlite
    with home.database.read() as connection:
        for statement, parameters in statements.items():
            explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN (ANALYZE, TIMING OFF)"
            if not is_sqlite and not statement.startswith("SELECT"):
                explain = "EXPLAIN"
            rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
            plan = "\n".join(str(row[-1]) for row in rows)
            reads_all = (_SQLITE_READS_ALL if is_sqlite else _POSTGRES_READS_ALL).search(plan)
            discarded = sum(map(int, _DISCARDED.findall(plan)))
            read = max(map(int, _READ.findall(plan)), default=0)
            if (
                (reads_all and not _FIRST_ROWS.search(statement))
                or discarded > _MOST_DISCARDED
                or read > return_lists.MOST_COUNTED + 1
            ):
                slow[statement] = plan
    return slow
