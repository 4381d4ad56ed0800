"""The conditions of a search that are columns: label, run, date, reviewer, state. Each has an index."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from returns_pipeline.records.images import Filter, ImageState
from returns_pipeline.records.reviews import ReviewAction
from returns_pipeline.records.search import Flag, Search
from returns_pipeline.store import browsing
from returns_pipeline.store.images import REVIEW_OF_IMAGE
from returns_pipeline.store.joins import PREDICTION_OF_RUN
from returns_pipeline.store.tables import (
    NOT_CLASSIFIED,
    REVIEWED,
    UNFAMILIAR,
    UNSURE,
    chunks,
    images,
    predictions,
    review_changes,
    runs,
)

#: Ids end here.
_END = 2**63 - 1
_JOINS = {
    runs: runs.c.id == images.c.run_id,
    chunks: chunks.c.id == images.c.chunk_id,
    predictions: PREDICTION_OF_RUN,
    review_changes: REVIEW_OF_IMAGE,
}
#: The same as REVIEW_OF_IMAGE, for the reviews of a person in the order of their images. Of two equal columns
#: PostgreSQL expects one row, and so reads and sorts all of that person's reviews for a page; of a CASE it
#: expects half of the rows.
_REVIEW_BY_IMAGE = sa.and_(
    review_changes.c.image_id == images.c.id,
    sa.case((REVIEW_OF_IMAGE, sa.true()), else_=sa.false()),
)


@dataclass(frozen=True)
class Conditions:
    """Conditions, the tables that they need, and the column in whose order an index has the matches.

    `first` and `last` are bounds of ids, both inclusive.
    """

    terms: tuple[sa.ColumnElement[bool], ...] = ()
    tables: frozenset[sa.Table] = frozenset()
    order: sa.ColumnElement[int] = images.c.id
    first: int = 0
    last: int = _END

    @property
    def is_empty(self) -> bool:
        """Whether every image fulfils them, but for the bounds."""
        return not self.terms

    def behind(self, after: int | None, ascending: bool) -> "Conditions":
        """Return the conditions for the images behind another, in an order."""
        if after is None:
            return self
        if ascending:
            return replace(self, first=max(self.first, after + 1))
        return replace(self, last=min(self.last, after - 1))

    def select(self, *columns: sa.ColumnElement[Any], joined: Sequence[sa.Table] = ()) -> sa.Select[Any]:
        """Return a query of the images that fulfil the conditions; `joined` are tables that it reads too."""
        source: sa.FromClause = images
        needed = self.tables.union(joined)
        for table, condition in _JOINS.items():
            if table is review_changes and self.order is review_changes.c.image_id:
                source = source.join(table, _REVIEW_BY_IMAGE)
            elif table in needed:
                source = source.join(table, condition)
        query = sa.select(*columns).select_from(source).where(*self.terms)
        # Both columns are the same number. A join reads the range of each, and no more.
        for column in dict.fromkeys((images.c.id, self.order)):
            query = query.where(column >= self.first) if self.first > 0 else query
            query = query.where(column <= self.last) if self.last < _END else query
        return query

    def bounds(self, connection: sa.Connection) -> tuple[int, int]:
        """Return the first id and the end of the ids of images within the bounds."""
        first, last = connection.execute(
            sa.select(
                sa.select(sa.func.min(images.c.id)).scalar_subquery(),
                sa.select(sa.func.max(images.c.id)).scalar_subquery(),
            )
        ).one()
        if first is None:
            return 0, 0
        return max(first, self.first), min(last, self.last) + 1


#: Every image.
NONE = Conditions()


def of(connection: sa.Connection, wanted: Search, also: Filter) -> Conditions:
    """Return the conditions of a search and of a filter, without its terms of names."""
    found = _of_images(wanted)
    if Flag.UNSURE in wanted.flags:
        found = _add(found, _text(UNSURE), tables=(runs, predictions), order=predictions.c.image_id)
    if Flag.UNFAMILIAR in wanted.flags or also.unfamiliar:
        found = _add(found, _text(UNFAMILIAR), tables=(runs, predictions), order=predictions.c.image_id)
    if wanted.reviewers:
        found = _add(
            found,
            _one_of(review_changes.c.who, wanted.reviewers),
            tables=(review_changes,),
            order=review_changes.c.image_id,
        )
    if wanted.since and wanted.until:
        first, last = _ids_between(connection, wanted.since, wanted.until)
        in_time = _received(connection, wanted.since, wanted.until)
        found = replace(_add(found, in_time, tables=(runs, chunks)), first=first, last=last)
    if also != Filter():
        tables = (runs, predictions) if _needs_prediction(also) else ()
        found = _add(found, *browsing.conditions(also), tables=tables)
    return found


def _add(
    to: Conditions,
    *terms: sa.ColumnElement[bool],
    tables: Sequence[sa.Table] = (),
    order: sa.ColumnElement[int] | None = None,
) -> Conditions:
    return replace(
        to,
        terms=(*to.terms, *terms),
        tables=to.tables.union(tables),
        order=to.order if order is None else order,
    )


def _of_images(wanted: Search) -> Conditions:
    """Return the conditions on columns of images."""
    values = (
        (images.c.id, wanted.images),
        (images.c.run_id, wanted.runs),
        (images.c.final_label, wanted.labels),
        (images.c.state, wanted.states),
    )
    found = Conditions(tuple(_one_of(column, those) for column, those in values if those))
    if wanted.states and ImageState.CLASSIFIED not in wanted.states:
        # The text of a partial index.
        found = _add(found, _text(NOT_CLASSIFIED))
    if wanted.outcomes or Flag.REVIEWED in wanted.flags or Flag.CORRECTED in wanted.flags:
        found = _add(found, _text(REVIEWED))
    if Flag.CORRECTED in wanted.flags:
        corrected = review_changes.c.action == ReviewAction.CORRECT
        found = _add(found, corrected, tables=(review_changes,))
    if wanted.outcomes:
        found = _add(found, _one_of(review_changes.c.outcome, wanted.outcomes), tables=(review_changes,))
    return found


def _one_of(column: sa.ColumnElement[Any], values: Sequence[object]) -> sa.ColumnElement[bool]:
    """Condition that keeps the order of an index for one value."""
    return column == values[0] if len(values) == 1 else column.in_(values)


def _text(term: sa.TextClause) -> Any:
    return term


def _needs_prediction(also: Filter) -> bool:
    return any(
        value is not None for value in (also.predicted, also.decision, also.least, also.most, also.unfamiliar)
    )


def _received(connection: sa.Connection, since: datetime, until: datetime) -> sa.ColumnElement[bool]:
    """Condition: the image came in between two moments. PostgreSQL can estimate how many these are."""
    at: sa.ColumnElement[datetime] = chunks.c.received_at
    if connection.dialect.name == "sqlite":
        # With the plus, SQLite reads the images in the order of their ids, between the bounds, and not
        # every chunk of that time by its index, which it would have to sort.
        at = sa.literal_column(f"+{chunks.name}.{at.name}", at.type)
    return sa.or_(
        sa.and_(at >= since, at < until),
        sa.and_(at.is_(None), runs.c.opened_at >= since, runs.c.opened_at < until),
    )


def _ids_between(connection: sa.Connection, since: datetime, until: datetime) -> tuple[int, int]:
    """Return bounds of the ids that images of a time can have: ids grow as photos come in.

    Releases before 0010 wrote no time of a chunk; its photos count as received when their run was opened.
    """
    edges: list[int | None] = []
    in_time = sa.and_(chunks.c.received_at >= since, chunks.c.received_at < until)
    # With the sum, PostgreSQL reads the images of the chunk, and not all images in the order of their ids.
    number = images.c.id + 0
    for direction in (sa.asc, sa.desc):
        edge = (
            sa.select(chunks.c.id)
            .where(in_time)
            .order_by(direction(chunks.c.received_at), direction(chunks.c.id))
            .limit(1)
            .scalar_subquery()
        )
        of_chunk = sa.select(sa.func.min(number), sa.func.max(number)).where(images.c.chunk_id == edge)
        edges += connection.execute(of_chunk).one()
    of_run = [
        sa.select(edge(images.c.id)).where(images.c.run_id == runs.c.id).correlate(runs).scalar_subquery()
        for edge in (sa.func.min, sa.func.max)
    ]
    opened = sa.and_(runs.c.opened_at >= since, runs.c.opened_at < until)
    of_runs = sa.select(sa.func.min(of_run[0]), sa.func.max(of_run[1])).where(opened)
    edges += connection.execute(of_runs).one()
    found = [edge for edge in edges if edge is not None]
    return (min(found), max(found)) if found else (0, -1)
