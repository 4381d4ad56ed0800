"""Lists of returns. Each query finds its rows by an index, in their order, however many returns there are.

A list is made of streams: one for each verdict, of the open and of the decided returns. Each has the order of
a partial index. They are merged, or follow each other in the order of WORST_FIRST.
"""

import heapq
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import islice
from typing import Any, NamedTuple

import sqlalchemy as sa

from returns_pipeline.records.return_lists import (
    GROUPS,
    WORST_FIRST,
    Decided,
    ListedReturn,
    ReturnFilter,
    ReturnOrder,
    ReturnPage,
    ReturnPlace,
)
from returns_pipeline.records.returns import Return, ReturnAction
from returns_pipeline.store import return_search
from returns_pipeline.store.database import Database
from returns_pipeline.store.returns import COLUMNS
from returns_pipeline.store.tables import images, return_events, returns

#: A total is counted up to this number.
MOST_COUNTED = 10_000
#: The newest returns of a customer that a list has.
_MOST_OF_CUSTOMER = 10_000
#: Returns that are read together for an export.
_TOGETHER = 1000


class _Part(NamedTuple):
    """The returns of a verdict that have a rank, and the conditions of their streams."""

    rank: int
    conditions: Sequence[sa.ColumnElement[bool]]


def page(
    db: Database,
    wanted: ReturnFilter,
    order: ReturnOrder,
    place: ReturnPlace | None,
    limit: int,
    *,
    backwards: bool = False,
) -> ReturnPage:
    """Return the returns behind a place of a list; with `backwards` those before it."""
    with db.read() as connection:
        found = return_search.ids(connection, wanted.q)
        places = _places(connection, wanted, order, found, place, limit + 1, backwards)
        has_more = len(places) > limit
        places = places[:limit]
        if backwards:
            places.reverse()
        rows = _listed(connection, [each.id for each in places])
    if not places:
        return ReturnPage([], None, None)
    earlier, later = (has_more, place is not None) if backwards else (place is not None, has_more)
    return ReturnPage(rows, places[0] if earlier else None, places[-1] if later else None)


def around(
    db: Database, wanted: ReturnFilter, order: ReturnOrder, item: Return
) -> tuple[str | None, str | None]:
    """Return the numbers of the returns before and after one in a list.

    A return that the filter leaves out has neighbours where it would be.
    """
    rank = 0
    if order is ReturnOrder.WORST:
        ranks = [str(each) if each else None for each in WORST_FIRST]
        rank = ranks.index(item.verdict) if item.verdict in ranks else len(ranks)
    day = item.announced_on or date.min
    place = ReturnPlace(rank, day if _has_days(wanted) else None, item.id)
    before = page(db, wanted, order, place, 1, backwards=True).returns
    after = page(db, wanted, order, place, 1).returns
    return (
        before[0].item.number if before else None,
        after[0].item.number if after else None,
    )


def count(db: Database, wanted: ReturnFilter) -> tuple[int, bool]:
    """Return how many returns a list has, counted up to MOST_COUNTED, and whether there are more."""
    total = 0
    with db.read() as connection:
        found = return_search.ids(connection, wanted.q)
        for part in _parts(wanted, ReturnOrder.NEWEST):
            for condition in part.conditions:
                some = _some(wanted, found, condition).limit(MOST_COUNTED + 1 - total).subquery()
                total += int(connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one())
                if total > MOST_COUNTED:
                    return MOST_COUNTED, True
    return total, False


def open_counts(db: Database) -> dict[str | None, int]:
    """Return how many returns no person has decided, by verdict; those of None wait for their photos."""
    query = (
        sa.select(returns.c.verdict, sa.func.count())
        .where(returns.c.decision.is_(None))
        .group_by(returns.c.verdict)
    )
    with db.read() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def decision_versions(db: Database, ids: Sequence[int]) -> dict[int, int]:
    """Return the versions of returns' decisions, see `return_decisions.version`; none of undecided ones."""
    events = return_events.c
    query = (
        sa.select(events.return_id, sa.func.max(events.id))
        .where(events.return_id.in_(ids), events.action == ReturnAction.DECISION)
        .group_by(events.return_id)
    )
    with db.read() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def batches(db: Database, wanted: ReturnFilter, order: ReturnOrder) -> Iterator[Sequence[ListedReturn]]:
    """Yield all returns of a list, some at a time; each time is a transaction of its own."""
    place = None
    while True:
        found = page(db, wanted, order, place, _TOGETHER)
        if found.returns:
            yield found.returns
        place = found.next
        if place is None:
            return


def is_empty(db: Database) -> bool:
    """Whether the database has no return at all."""
    with db.read() as connection:
        return connection.execute(sa.select(returns.c.id).limit(1)).first() is None


def _places(
    connection: sa.Connection,
    wanted: ReturnFilter,
    order: ReturnOrder,
    found: Sequence[int] | None,
    place: ReturnPlace | None,
    limit: int,
    backwards: bool,
) -> list[ReturnPlace]:
    """Return the places behind a place, in the order of the list, or with `backwards` in its reverse."""
    parts = _parts(wanted, order)
    places: list[ReturnPlace] = []
    for part in reversed(parts) if backwards else parts:
        at = place
        if place is not None and part.rank != place.rank:
            if (part.rank < place.rank) != backwards:
                continue
            at = None
        streams = []
        for condition in part.conditions:
            query = _ordered(_some(wanted, found, condition), wanted, at, backwards)
            rows = connection.execute(query.limit(limit - len(places)))
            streams.append([ReturnPlace(part.rank, day, number) for number, day in rows])
        merged = heapq.merge(*streams, key=_newest, reverse=not backwards)
        places += islice(merged, limit - len(places))
        if len(places) == limit:
            break
    return places


def _newest(place: ReturnPlace) -> tuple[date, int]:
    return place.day or date.min, place.id


def _listed(connection: sa.Connection, ids: Sequence[int]) -> list[ListedReturn]:
    """Return returns by their ids, in the order of the ids."""
    photos = (
        sa.select(images.c.return_id, sa.func.count(), sa.func.min(images.c.id))
        .where(images.c.return_id.in_(ids), images.c.return_id.is_not(None), images.c.deleted_at.is_(None))
        .group_by(images.c.return_id)
    )
    counted = {each: (total, first) for each, total, first in connection.execute(photos)}
    rows = connection.execute(sa.select(*COLUMNS).where(returns.c.id.in_(ids)))
    found = {row.id: ListedReturn(Return._make(row), *counted.get(row.id, (0, None))) for row in rows}
    return [found[each] for each in ids if each in found]


def _parts(wanted: ReturnFilter, order: ReturnOrder) -> list[_Part]:
    """Return the parts of a list; of all returns by their ids there is one, the primary key."""
    verdicts = _verdicts(wanted)
    decision = returns.c.decision
    decided = {Decided.OPEN: [decision.is_(None)], "": [decision.is_(None), decision.is_not(None)]}.get(
        wanted.decision, [decision.is_not(None)]
    )
    if order is ReturnOrder.WORST:
        return [
            _Part(rank, [sa.and_(_has_verdict(each), state) for state in decided])
            for rank, each in enumerate(WORST_FIRST)
            if each in verdicts
        ]
    if len(verdicts) == len(WORST_FIRST) and len(decided) > 1 and not _has_days(wanted):
        return [_Part(0, [sa.true()])]
    return [_Part(0, [sa.and_(_has_verdict(each), state) for each in verdicts for state in decided])]


def _verdicts(wanted: ReturnFilter) -> Sequence[str | None]:
    if not wanted.verdict:
        return WORST_FIRST
    return GROUPS.get(wanted.verdict) or [each for each in WORST_FIRST if each == wanted.verdict]


def _has_verdict(verdict: str | None) -> sa.ColumnElement[bool]:
    return returns.c.verdict.is_(None) if verdict is None else returns.c.verdict == verdict


def _some(
    wanted: ReturnFilter, found: Sequence[int] | None, condition: sa.ColumnElement[bool]
) -> sa.Select[Any]:
    """Return the query of the ids and days of a stream, unordered. The day is null in a list without days."""
    number, day = returns.c.id, returns.c.announced_on
    query = sa.select(number, day if _has_days(wanted) else sa.null()).where(condition)
    if wanted.decision and wanted.decision not in set(Decided):
        query = query.where(returns.c.decision == wanted.decision)
    if wanted.customer:
        newest = (
            sa.select(number)
            .where(returns.c.customer == wanted.customer)
            .order_by(number.desc())
            .limit(_MOST_OF_CUSTOMER)
        )
        query = query.where(number.in_(newest))
    if wanted.first is not None:
        query = query.where(day >= wanted.first)
    if wanted.last is not None:
        query = query.where(day <= wanted.last)
    if wanted.run_id is not None:
        came = sa.select(images.c.return_id).where(
            images.c.run_id == wanted.run_id, images.c.return_id.is_not(None)
        )
        query = query.where(number.in_(came))
    if found is not None:
        query = query.where(number.in_(found[: return_search.MOST_FOUND]))
    return query


def _ordered(
    query: sa.Select[Any], wanted: ReturnFilter, at: ReturnPlace | None, backwards: bool
) -> sa.Select[Any]:
    """Return the query of a stream behind a place, in the order of the list or in its reverse."""
    number, day = returns.c.id, returns.c.announced_on
    if not _has_days(wanted):
        if at is not None:
            query = query.where(number > at.id if backwards else number < at.id)
        return query.order_by(number if backwards else number.desc())
    if at is not None:
        row = sa.tuple_(day, number)
        end = sa.tuple_(sa.literal(at.day, day.type), sa.literal(at.id, number.type))
        query = query.where(row > end if backwards else row < end)
    return query.order_by(*((day, number) if backwards else (day.desc(), number.desc())))


def _has_days(wanted: ReturnFilter) -> bool:
    return wanted.first is not None or wanted.last is not None
