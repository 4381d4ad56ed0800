"""Pages of runs, filtered. There are few runs, however many images there are."""

from typing import NamedTuple

import sqlalchemy as sa

from returns_pipeline.records.runs import RunKind, RunState, RunSummary
from returns_pipeline.store.database import Database
from returns_pipeline.store.runs import SUMMARY, summary_of
from returns_pipeline.store.tables import runs


class RunFilter(NamedTuple):
    """A filter for runs; None in a field means all."""

    kind: RunKind | None = None
    is_closed: bool | None = None


class Place(NamedTuple):
    """Where a page of runs begins or ends: runs with a smaller id than `before`, or a larger than `after`."""

    before: int | None = None
    after: int | None = None

    def parameters(self) -> dict[str, int]:
        """Return it as the parameters of an address."""
        return {name: value for name, value in zip(self._fields, self, strict=True) if value is not None}


class RunPage(NamedTuple):
    """Runs, and the places of the pages around them; None where there are no more."""

    runs: list[RunSummary]
    previous: Place | None
    next: Place | None


def page(
    db: Database,
    wanted: RunFilter,
    limit: int,
    *,
    oldest_first: bool = False,
    before: int | None = None,
    after: int | None = None,
) -> RunPage:
    """Return the runs next to a place, newest first, or with `oldest_first` the other way round."""
    # Behind a place lie larger ids if the list rises, or if it falls and is read backwards.
    rising = after is not None or (oldest_first and before is None)
    query = SUMMARY.where(*_conditions(wanted))
    if before is not None:
        query = query.where(runs.c.id < before)
    elif after is not None:
        query = query.where(runs.c.id > after)
    query = query.order_by(runs.c.id if rising else runs.c.id.desc()).limit(limit + 1)
    with db.read() as connection:
        rows = connection.execute(query).all()
        found = [summary_of(connection, row) for row in rows[:limit]]
    if rising != oldest_first:
        found.reverse()
    if not found:
        return RunPage([], None, None)
    has_more, has_place = len(rows) > limit, before is not None or after is not None
    larger = has_more if rising else has_place
    smaller = has_place if rising else has_more
    newer = Place(after=max(run.id for run in found)) if larger else None
    older = Place(before=min(run.id for run in found)) if smaller else None
    return RunPage(found, *((older, newer) if oldest_first else (newer, older)))


def count(db: Database, wanted: RunFilter) -> int:
    """Return how many runs there are."""
    query = sa.select(sa.func.count()).select_from(runs).where(*_conditions(wanted))
    with db.read() as connection:
        return int(connection.execute(query).scalar_one())


def _conditions(wanted: RunFilter) -> list[sa.ColumnElement[bool]]:
    found = []
    if wanted.kind is not None:
        found.append(runs.c.kind == wanted.kind)
    if wanted.is_closed is not None:
        is_closed = runs.c.state == RunState.CLOSED
        found.append(is_closed if wanted.is_closed else ~is_closed)
    return found
