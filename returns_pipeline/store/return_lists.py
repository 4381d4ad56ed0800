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
from returns_pipeline.records.returns import Return, ReturnAction, ReturnDecision
from returns_pipeline.store import return_search
from returns_pipeline.store.database import Database
from returns_pipeline.store.returns import COLUMNS
from returns_pipeline.store.tables import images, return_events, returns

#: A total is counted up to this number.
MOST_COUNTED = 10_000
#: The open returns of each verdict are counted up to this number: each first page counts them.
MOST_OPEN = 5_000
#: Returns that are read together for an export.
_TOGETHER = 1000


class _Part(NamedTuple):
    """The returns of a verdict that have a rank, and the conditions of their streams.

    `leading`: columns with one value in each stream. They are named in the order, because PostgreSQL does not
    see that a verdict that is null has one value, and would sort the stream.
    """

    rank: int
    conditions: Sequence[sa.ColumnElement[bool]]
    leading: Sequence[sa.ColumnElement[Any]] = (returns.c.verdict,)


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
        wanted = _resolved(connection, wanted)
        find = _places if wanted.ids is None else _places_of_ids
        places = find(connection, wanted, order, place, limit + 1, backwards)
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
    wanted = resolved(db, wanted)
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
        wanted = _resolved(connection, wanted)
        if wanted.ids is not None:
            order, most = ReturnOrder.NEWEST, len(wanted.ids)
            return len(_places_of_ids(connection, wanted, order, None, most, backwards=False)), False
        for part in _parts(wanted, ReturnOrder.NEWEST):
            for condition in part.conditions:
                # In order, because PostgreSQL may read the whole table for rows in any order.
                rows = _ordered(_some(wanted, condition), wanted, None, False, part.leading)
                some = rows.limit(MOST_COUNTED + 1 - total).subquery()
                total += int(connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one())
                if total > MOST_COUNTED:
                    return MOST_COUNTED, True
    return total, False


def open_counts(db: Database, most: int = MOST_OPEN) -> dict[str | None, int]:
    """Return how many returns no person has decided, by verdict; those of None wait for their photos.

    Those of each verdict are counted up to `most`; a verdict without any is left out.
    """
    kinds = [sa.literal(str(each)).label("verdict") for each in WORST_FIRST if each]
    each_kind = sa.union_all(*map(sa.select, kinds)).subquery()
    query = sa.union_all(
        sa.select(each_kind.c.verdict, _count_open(returns.c.verdict == each_kind.c.verdict, most)),
        sa.select(sa.null(), _count_open(returns.c.verdict.is_(None), most)),
    )
    with db.read() as connection:
        return {verdict: total for verdict, total in connection.execute(query) if total}


def _count_open(condition: sa.ColumnElement[bool], most: int) -> sa.ScalarSelect[int]:
    """Return the number of open returns that fulfil a condition on the verdict, up to `most`."""
    # In order, because PostgreSQL may read the whole table for rows in any order.
    some = (
        sa.select(returns.c.id)
        .where(condition, returns.c.decision.is_(None))
        .order_by(returns.c.verdict, returns.c.id)
        .limit(most)
        .correlate_except(returns)
        .subquery()
    )
    return sa.select(sa.func.count()).select_from(some).scalar_subquery()


def of_product(db: Database, product_id: str, limit: int) -> Sequence[ListedReturn]:
    """Return the newest returns that were announced with this product."""
    query = sa.select(returns.c.id).where(returns.c.product == product_id)
    with db.read() as connection:
        ids = list(connection.scalars(query.order_by(returns.c.id.desc()).limit(limit)))
        return _listed(connection, ids)


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
    place, wanted = None, resolved(db, wanted)
    while True:
        found = page(db, wanted, order, place, _TOGETHER)
        if found.returns:
            yield found.returns
        place = found.next
        if place is None:
            return


def resolved(db: Database, wanted: ReturnFilter) -> ReturnFilter:
    """Return a filter with the ids of its search and its customer, so that further calls search no more.

    They are the newest return_search.MOST_FOUND.
    """
    with db.read() as connection:
        return _resolved(connection, wanted)


def is_empty(db: Database) -> bool:
    """Whether the database has no return at all."""
    with db.read() as connection:
        return connection.execute(sa.select(returns.c.id).limit(1)).first() is None


def _places(
    connection: sa.Connection,
    wanted: ReturnFilter,
    order: ReturnOrder,
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
            query = _ordered(_some(wanted, condition), wanted, at, backwards, part.leading)
            rows = connection.execute(query.limit(limit - len(places)))
            streams.append([ReturnPlace(part.rank, day, number) for number, day in rows])
        merged = heapq.merge(*streams, key=_newest, reverse=not backwards)
        places += islice(merged, limit - len(places))
        if len(places) == limit:
            break
    return places


def _resolved(connection: sa.Connection, wanted: ReturnFilter) -> ReturnFilter:
    """Return a filter with the ids of its search and its customer in place of these."""
    if wanted.ids is not None or not (wanted.q or wanted.customer):
        return wanted
    found = return_search.ids(connection, wanted.q, wanted.customer)
    return wanted._replace(q="", customer="", ids=tuple(found[: return_search.MOST_FOUND]))


def _places_of_ids(
    connection: sa.Connection,
    wanted: ReturnFilter,
    order: ReturnOrder,
    place: ReturnPlace | None,
    limit: int,
    backwards: bool,
) -> list[ReturnPlace]:
    """Return what `_places` does, for a filter with ids. They are few, so an index by verdict has no use."""
    columns = (returns.c.id, returns.c.verdict, returns.c.decision, returns.c.announced_on)
    query = sa.select(*columns).where(returns.c.id.in_(wanted.ids or ()))
    if wanted.run_id is not None:
        query = query.where(_came_with(wanted.run_id))
    verdicts = _verdicts(wanted)
    states = {None: {"", Decided.OPEN}}
    found = []
    for number, verdict, decision, day in connection.execute(query):
        if (
            verdict in verdicts
            and wanted.decision in states.get(decision, {"", Decided.DECIDED, decision})
            and (not _has_days(wanted) or _is_within(wanted, day))
        ):
            rank = WORST_FIRST.index(verdict) if order is ReturnOrder.WORST else 0
            found.append(ReturnPlace(rank, day if _has_days(wanted) else None, number))
    found.sort(key=_in_list, reverse=backwards)
    if place is not None:
        here = _in_list(place)
        found = [each for each in found if (_in_list(each) < here if backwards else _in_list(each) > here)]
    return found[:limit]


def _is_within(wanted: ReturnFilter, day: date | None) -> bool:
    return day is not None and (wanted.first or day) <= day <= (wanted.last or day)


def _in_list(place: ReturnPlace) -> tuple[int, int, int]:
    """Return the place of a return as a key that rises along a list."""
    return place.rank, -(place.day or date.min).toordinal(), -place.id


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
    decided: list[sa.ColumnElement[bool]] = (
        [decision.is_(None)] if wanted.decision in {"", Decided.OPEN} else []
    )
    for each in ReturnDecision.written():
        if wanted.decision in {"", Decided.DECIDED, each}:
            # The second condition is that of the index.
            decided.append(sa.and_(decision == each, decision.is_not(None)))
    if order is ReturnOrder.WORST:
        return [
            _Part(rank, [sa.and_(_has_verdict(each), state) for state in decided])
            for rank, each in enumerate(WORST_FIRST)
            if each in verdicts
        ]
    if len(verdicts) == len(WORST_FIRST) and not wanted.decision and not _has_days(wanted):
        return [_Part(0, [sa.true()], ())]
    return [_Part(0, [sa.and_(_has_verdict(each), state) for each in verdicts for state in decided])]


def _verdicts(wanted: ReturnFilter) -> Sequence[str | None]:
    if not wanted.verdict:
        return WORST_FIRST
    return GROUPS.get(wanted.verdict) or [each for each in WORST_FIRST if each == wanted.verdict]


def _has_verdict(verdict: str | None) -> sa.ColumnElement[bool]:
    return returns.c.verdict.is_(None) if verdict is None else returns.c.verdict == verdict


def _some(wanted: ReturnFilter, condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Return the query of the ids and days of a stream, unordered. The day is null in a list without days."""
    number, day = returns.c.id, returns.c.announced_on
    query = sa.select(number, day if _has_days(wanted) else sa.null()).where(condition)
    if wanted.first is not None:
        query = query.where(day >= wanted.first)
    if wanted.last is not None:
        query = query.where(day <= wanted.last)
    return query if wanted.run_id is None else query.where(_came_with(wanted.run_id))


def _came_with(run_id: int) -> sa.ColumnElement[bool]:
    came = sa.select(images.c.return_id).where(images.c.run_id == run_id, images.c.return_id.is_not(None))
    return returns.c.id.in_(came)


def _ordered(
    query: sa.Select[Any],
    wanted: ReturnFilter,
    at: ReturnPlace | None,
    backwards: bool,
    leading: Sequence[sa.ColumnElement[Any]],
) -> sa.Select[Any]:
    """Return the query of a stream behind a place, in the order of the list or in its reverse."""
    number, day = returns.c.id, returns.c.announced_on
    if not _has_days(wanted):
        if at is not None:
            query = query.where(number > at.id if backwards else number < at.id)
        return query.order_by(*_directed([*leading, number], backwards))
    if at is not None:
        row = sa.tuple_(day, number)
        end = sa.tuple_(sa.literal(at.day, day.type), sa.literal(at.id, number.type))
        query = query.where(row > end if backwards else row < end)
    return query.order_by(*_directed([*leading, day, number], backwards))


def _directed(columns: Sequence[sa.ColumnElement[Any]], backwards: bool) -> Sequence[sa.ColumnElement[Any]]:
    return columns if backwards else [column.desc() for column in columns]


def _has_days(wanted: ReturnFilter) -> bool:
    return wanted.first is not None or wanted.last is not None
