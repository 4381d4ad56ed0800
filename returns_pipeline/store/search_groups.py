"""Which blocks of the index of names have a trigram at all, so that a search leaves out the others.

A group is a range of GROUP blocks. Its rows are in the table of the blocks, with a negative number; their
places are blocks of the group. A row may name a block that has lost the trigram, never the reverse. The rows
are made from those of the blocks, many blocks together.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from returns_pipeline.store import bulk
from returns_pipeline.store.database import Database
from returns_pipeline.store.search_places import BLOCK, packed, places_of, unpacked
from returns_pipeline.store.tables import search_grams, search_progress

#: Blocks in a group: as many as a row has places.
GROUP = BLOCK
#: Blocks that are added together, at least and at most: adding one costs nearly as much as adding some.
_LEAST, _MOST = 16, 64
_COLUMNS = ("block", "gram", "places")


def extend(db: Database, end: int, deadline: float, least: int = _LEAST) -> None:
    """Add the blocks below `end` to their groups until the monotonic `deadline`. May run twice.

    Fewer than `least` blocks are left for a later call.
    """
    with db.read() as connection:
        first = _end(connection)
    while end - first >= least and time.monotonic() < deadline:
        last = min(end, first + _MOST)
        query = sa.select(search_grams.c.block, search_grams.c.gram).where(
            search_grams.c.block >= first, search_grams.c.block < last
        )
        with db.write() as connection:
            mine = connection.execute(
                sa.update(search_progress)
                .where(search_progress.c.grouped_end == first)
                .values(grouped_end=last)
            )
            if not mine.rowcount:
                return
            add(connection, [(row.block, row.gram) for row in connection.execute(query)])
        first = last


def _end(connection: sa.Connection) -> int:
    """Return the block from which on blocks are not in their groups."""
    return int(connection.execute(sa.select(search_progress.c.grouped_end)).scalar() or 0)


def add(connection: sa.Connection, pairs: Iterable[tuple[int, int]]) -> None:
    """Add (block, trigram) pairs to the groups."""
    by_group: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for block, gram in pairs:
        by_group[block // GROUP][gram] |= 1 << block % GROUP
    for group, found in by_group.items():
        number = _number(group)
        for part in bulk.parts(sorted(found)):
            these = sa.and_(search_grams.c.block == number, search_grams.c.gram.in_(part))
            stored = {
                row.gram: unpacked(row.places)
                for row in connection.execute(sa.select(search_grams).where(these))
            }
            changed = {
                gram: bits for gram in part if (bits := stored.get(gram, 0) | found[gram]) != stored.get(gram)
            }
            these = sa.and_(search_grams.c.block == number, search_grams.c.gram.in_(list(changed)))
            connection.execute(sa.delete(search_grams).where(these))
            rows = [(number, gram, packed(places_of(bits))) for gram, bits in changed.items()]
            bulk.insert(connection, search_grams, _COLUMNS, rows)


def possible(connection: sa.Connection, terms: Iterable[Sequence[int]], first: int, end: int) -> list[int]:
    """Return the blocks from `first` to below `end` that may have all trigrams of all `terms`, ascending."""
    grams = sorted({gram for term in terms for gram in term})
    grouped_end = min(_end(connection), end)
    if not grams or grouped_end <= first:
        return list(range(first, end))
    found: list[int] = []
    for group in range(first // GROUP, (grouped_end - 1) // GROUP + 1):
        bits = (1 << GROUP) - 1
        rows = 0
        for part in bulk.parts(grams):
            query = sa.select(search_grams.c.places).where(
                search_grams.c.block == _number(group), search_grams.c.gram.in_(part)
            )
            for places in connection.execute(query).scalars():
                bits &= unpacked(places)
                rows += 1
        if rows == len(grams):
            found += [group * GROUP + place for place in places_of(bits)]
    newer = range(max(first, grouped_end), end)
    return [*(block for block in found if first <= block < grouped_end), *newer]


def _number(group: int) -> int:
    return -1 - group
