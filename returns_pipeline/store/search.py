"""Searches images, newest or oldest first, in pages that cost the same at any number of images."""

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import sqlalchemy as sa

from returns_pipeline.records.images import Filter
from returns_pipeline.records.search import MOST_COUNTED, Found, Place, Search, Term
from returns_pipeline.store import browsing, search_conditions, search_groups, search_index
from returns_pipeline.store.database import Database
from returns_pipeline.store.joins import SHOWN_PATH
from returns_pipeline.store.search_conditions import Conditions
from returns_pipeline.store.search_index import ROOT, grams_of_term, key, searchable
from returns_pipeline.store.search_places import BLOCK, places_of, unpacked
from returns_pipeline.store.tables import images, runs, search_grams

#: Trigrams of a term that are read for every block; the rarest are chosen.
_GRAMS = 3
#: Ids in one statement; SQLite limits the number of parameters.
_AT_ONCE = 1000
#: Candidates that are checked first: about a page.
_FIRST_CHECKED = 100
#: Candidates of a block from which on the block's images are found by the other conditions.
_DENSE = 500
#: Blocks in the first and in the largest window that one statement reads.
_FIRST_BLOCKS, _MOST_BLOCKS = 4, 128
#: Blocks of names that are not in the index yet and that one search reads.
_UNINDEXED_BLOCKS = 6
#: Conditions that match at most this many images are read whole, and their names compared.
_FEW = 2000
#: Seconds for counting after the page is found. A count that takes longer is a lower bound.
_COUNT_SECONDS = 0.01
#: Matches that the database counts first; then as many as it counts in the time that is left.
_COUNTED_FIRST = 500
#: Seconds for a count that nothing waits for: longer than any search among millions of images takes.
_MOST_COUNT_SECONDS = 20.0


def find(
    db: Database,
    wanted: Search,
    limit: int,
    *,
    also: Filter = Filter(),  # noqa: B008 - a tuple, never changed
    roots: Sequence[str] = (),
    oldest_first: bool = False,
    place: Place | None = None,
    is_counted: bool = True,
) -> Found:
    """Return a page of the images that fulfil a search and a filter, and how many there are.

    `roots` are the folders of intakes that the settings name. Without `is_counted`, the total is the number
    of images of the page.
    """
    backwards = place is not None and place.backwards
    ascending = oldest_first != backwards
    with db.read() as connection:
        query = _Query(connection, wanted, search_conditions.of(connection, wanted, also), roots)
        matches = query.matches(ascending, place.after if place else None)
        found = list(islice(matches, limit + 1))
        if not is_counted or (len(found) <= limit and place is None):
            total, has_more = len(found), False
        elif place is None:
            total, has_more = query.count(matches, len(found))
        else:
            total, has_more = query.count(query.matches(not oldest_first, None), 0)
    extends = len(found) > limit
    found = found[:limit]
    has_next, has_previous = (bool(found), extends) if backwards else (extends, place is not None)
    if backwards:
        found.reverse()
    return Found(
        browsing.listed(db, found),
        total,
        has_more,
        Place(found[0], backwards=True) if has_previous and found else None,
        Place(found[-1]) if has_next and found else None,
    )


def count(
    db: Database,
    wanted: Search,
    *,
    also: Filter = Filter(),  # noqa: B008 - a tuple, never changed
    roots: Sequence[str] = (),
    seconds: float = _MOST_COUNT_SECONDS,
) -> tuple[int, bool]:
    """Return how many images fulfil a search and a filter, up to MOST_COUNTED, and whether there are more."""
    with db.read() as connection:
        query = _Query(connection, wanted, search_conditions.of(connection, wanted, also), roots)
        return query.count(query.matches(ascending=False, after=None), 0, seconds)


def ids(
    db: Database,
    wanted: Search,
    most: int,
    *,
    also: Filter = Filter(),  # noqa: B008 - a tuple, never changed
    roots: Sequence[str] = (),
    oldest_first: bool = False,
    after: int | None = None,
) -> list[int]:
    """Return the ids of the first `most` images that fulfil a search and a filter, behind one of them.

    `most` is at most MOST_COUNTED.
    """
    with db.read() as connection:
        query = _Query(connection, wanted, search_conditions.of(connection, wanted, also), roots)
        return list(islice(query.matches(oldest_first, after), most))


def _count(matches: Iterator[int], count: int, seconds: float = _COUNT_SECONDS) -> tuple[int, bool]:
    """Count the rest of the matches; return the number, and whether there are more."""
    deadline = time.monotonic() + seconds
    for _ in matches:
        count += 1
        if count > MOST_COUNTED:
            return MOST_COUNTED, True
        if not count % 100 and time.monotonic() > deadline:
            return count, True
    return count, False


class _Query:
    """One search in one connection."""

    def __init__(
        self, connection: sa.Connection, wanted: Search, conditions: Conditions, roots: Sequence[str]
    ) -> None:
        self._connection = connection
        self._terms = wanted.terms
        self._conditions = conditions
        self._roots = roots
        self._grams = {term: sorted(map(key, grams_of_term(term.text))) for term in wanted.terms}

    def matches(self, ascending: bool, after: int | None) -> Iterator[int]:
        """Yield the ids of the images that match, in order, behind the image `after`."""
        conditions = self._conditions.behind(after, ascending)
        if not self._terms:
            yield from self._by_conditions(conditions, ascending, MOST_COUNTED + 1)
            return
        if not conditions.is_empty:
            few = list(self._by_conditions(conditions, ascending, _FEW + 1))
            if len(few) <= _FEW:
                for start in range(0, len(few), _AT_ONCE):
                    part = few[start : start + _AT_ONCE]
                    yield from self._checked(search_conditions.NONE, part, ascending)
                return
        yield from self._by_names(conditions, ascending)

    def count(self, matches: Iterator[int], count: int, seconds: float = _COUNT_SECONDS) -> tuple[int, bool]:
        """Count the matches, of which `count` are known and `matches` are the rest.

        Returns the number, and whether there are more.
        """
        if self._terms:
            return _count(matches, count, seconds)
        return self._count_conditions(seconds)

    def _count_conditions(self, seconds: float) -> tuple[int, bool]:
        """Count the images that fulfil the conditions, in the database."""
        began = time.monotonic()
        conditions, count, step = self._conditions, 0, _COUNTED_FIRST
        while True:
            some = (
                conditions.select(conditions.order).order_by(conditions.order.desc()).limit(step).subquery()
            )
            query = sa.select(sa.func.count(), sa.func.min(some.c[0])).select_from(some)
            found, last = self._connection.execute(query).one()
            count += found
            if found < step:
                return count, False
            if count > MOST_COUNTED:
                return MOST_COUNTED, True
            spent = time.monotonic() - began
            step = min(MOST_COUNTED + 1 - count, int(count * (seconds / max(spent, 1e-6) - 1)))
            if step < _FIRST_CHECKED:
                return count, True
            conditions = conditions.behind(last, ascending=False)

    def _by_conditions(self, conditions: Conditions, ascending: bool, limit: int) -> Iterator[int]:
        """Yield the first ids that fulfil the conditions: about a page, and then more in each step."""
        order = conditions.order.asc() if ascending else conditions.order.desc()
        step = _FIRST_CHECKED
        while limit > 0:
            query = conditions.select(conditions.order).order_by(order).limit(min(step, limit))
            found = self._connection.execute(query).scalars().all()
            yield from found
            if len(found) < step:
                return
            conditions = conditions.behind(found[-1], ascending)
            limit, step = limit - len(found), min(10 * step, MOST_COUNTED)

    def _by_names(self, conditions: Conditions, ascending: bool) -> Iterator[int]:
        """Yield matches window by window; the windows grow while little is found."""
        indexed_end = search_index.progress(self._connection)
        first, end = conditions.bounds(self._connection)
        unindexed = (max(first, indexed_end), end)
        indexed = (first // BLOCK, -(-min(end, indexed_end) // BLOCK))
        if not ascending:
            yield from self._unindexed(conditions, *unindexed, ascending)
        yield from self._indexed(conditions, *indexed, ascending)
        if ascending:
            yield from self._unindexed(conditions, *unindexed, ascending)

    def _unindexed(self, conditions: Conditions, first: int, end: int, ascending: bool) -> Iterator[int]:
        """Yield matches among the newest images, whose names are read."""
        first = max(first, end - _UNINDEXED_BLOCKS * BLOCK)
        for low, high in _windows(first, end, BLOCK, BLOCK, ascending):
            within = sa.and_(images.c.id >= low, images.c.id < high)
            yield from self._matching(conditions, within, ascending)

    def _indexed(self, conditions: Conditions, first: int, end: int, ascending: bool) -> Iterator[int]:
        step = _FIRST_CHECKED
        blocks = search_groups.possible(self._connection, self._grams.values(), first, end)
        numbered = {term.number // BLOCK for term in self._terms if term.number is not None}
        blocks = sorted({*blocks, *(block for block in numbered if first <= block < end)})
        if not ascending:
            blocks.reverse()
        for low, high in _windows(0, len(blocks), _FIRST_BLOCKS, _MOST_BLOCKS, ascending=True):
            found = self._candidates(blocks[low:high])
            waiting: list[int] = []
            for block in sorted(found, reverse=not ascending):
                start = block * BLOCK
                if found[block].bit_count() > _DENSE and not conditions.is_empty:
                    yield from self._checked(conditions, waiting, ascending)
                    waiting = []
                    # The conditions may match far fewer of the block's images.
                    within = sa.and_(images.c.id >= start, images.c.id < start + BLOCK)
                    yield from self._matching(conditions, within, ascending)
                    continue
                places = places_of(found[block])
                waiting += [start + place for place in (places if ascending else reversed(places))]
                while len(waiting) >= step:
                    yield from self._checked(conditions, waiting[:step], ascending)
                    waiting, step = waiting[step:], _AT_ONCE
            yield from self._checked(conditions, waiting, ascending)

    def _candidates(self, blocks: Sequence[int]) -> dict[int, int]:
        """Return those of some blocks that may hold matches, with their places as bits."""
        result: dict[int, int] | None = None
        for term in self._terms:
            of_term = self._of_term(term, blocks)
            result = (
                of_term
                if result is None
                else {block: both for block, bits in of_term.items() if (both := bits & result.get(block, 0))}
            )
        return result or {}

    def _of_term(self, term: Term, blocks: Sequence[int]) -> dict[int, int]:
        grams = self._grams[term]
        rows = self._connection.execute(
            sa.select(search_grams.c.block, search_grams.c.gram, search_grams.c.places).where(
                search_grams.c.block.in_(blocks), search_grams.c.gram.in_(grams)
            )
        ).all()
        found: dict[int, list[int]] = {}
        counts = dict.fromkeys(grams, 0)
        for block, gram, places in rows:
            bits = unpacked(places)
            counts[gram] += bits.bit_count()
            found.setdefault(block, []).append(bits)
        result = {block: _all(of_block) for block, of_block in found.items() if len(of_block) == len(grams)}
        if term.number is not None and (block := term.number // BLOCK) in blocks:
            result[block] = result.get(block, 0) | 1 << term.number % BLOCK
        # The rarest suffice from now on: each match is compared with its name.
        self._grams[term] = sorted(grams, key=counts.__getitem__)[:_GRAMS]
        return result

    def _checked(self, conditions: Conditions, ids: Sequence[int], ascending: bool) -> Iterator[int]:
        """Yield those of some candidates that match."""
        return self._matching(conditions, images.c.id.in_(ids), ascending) if ids else iter(())

    def _matching(
        self, conditions: Conditions, within: sa.ColumnElement[bool], ascending: bool
    ) -> Iterator[int]:
        """Yield the images `within` a range or a list that fulfil conditions and terms."""
        order = images.c.id.asc() if ascending else images.c.id.desc()
        query = conditions.select(images.c.id, SHOWN_PATH, ROOT, joined=(runs,))
        for image_id, path, root in self._connection.execute(query.where(within).order_by(order)).all():
            if self._fits(image_id, searchable(path, root, self._roots)):
                yield image_id

    def _fits(self, image_id: int, text: str) -> bool:
        return all(image_id == term.number or _contains(text, term.text) for term in self._terms)


def _contains(text: str, part: str) -> bool:
    return part in text if len(part) > 2 else text.rpartition("/")[2].startswith(part)


def _windows(first: int, end: int, size: int, most: int, ascending: bool) -> Iterator[tuple[int, int]]:
    """Yield growing ranges from one end to the other: first inclusive, end exclusive."""
    while first < end:
        if ascending:
            yield first, min(end, first + size)
            first += size
        else:
            yield max(first, end - size), end
            end -= size
        size = min(most, 2 * size)


def _all(bits: Iterable[int]) -> int:
    result = -1
    for each in bits:
        result &= each
    return result
