"""When the products that the same customers kept were computed, and whether it is time to do it again."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import events, forgotten_customers, learnings, product_neighbours

#: Rows that are kept.
_MOST = 400


class Learning(NamedTuple):
    """A row of `learnings`. `finished_at` is None while it runs, or if its process was killed."""

    id: int
    started_at: datetime
    finished_at: datetime | None
    products: int | None
    fault: str | None


_COLUMNS = tuple(learnings.c[name] for name in Learning._fields)


def last(db: Database) -> Learning | None:
    """Return the newest one; None before the first."""
    with db.read() as connection:
        row = connection.execute(sa.select(*_COLUMNS).order_by(learnings.c.id.desc()).limit(1)).one_or_none()
    return Learning._make(row) if row else None


def begin(db: Database, now: datetime, after: int | None = None, *, is_nightly: bool = False) -> int | None:
    """Open a row; return its id. A nightly one is not opened if another process has begun one `after` it."""
    with db.write() as connection:
        if is_nightly:
            newest = sa.select(learnings.c.id).order_by(learnings.c.id.desc()).limit(1).with_for_update()
            if connection.execute(newest).scalar() != after:
                return None
        added = connection.execute(
            sa.insert(learnings).values(started_at=now).returning(learnings.c.id)
        ).scalar_one()
        connection.execute(sa.delete(learnings).where(learnings.c.id <= added - _MOST))
    return int(added)


def finish(db: Database, learning_id: int, products: int | None, fault: str | None = None) -> None:
    """Record how many products have neighbours, or why they could not be computed."""
    with db.write() as connection:
        connection.execute(
            sa.update(learnings)
            .where(learnings.c.id == learning_id)
            .values(finished_at=utc_now(), products=products, fault=fault)
        )


def has_events(db: Database, least: int) -> bool:
    """Whether there are at least so many events."""
    query = sa.select(events.c.kind).offset(least - 1).limit(1)
    with db.read() as connection:
        return connection.execute(query).first() is not None


def has_forgotten(db: Database, since: datetime | None) -> bool:
    """Whether neighbours may come from a customer that was forgotten since a moment; None means ever."""
    forgotten = sa.select(forgotten_customers.c.digest)
    if since is not None:
        forgotten = forgotten.where(forgotten_customers.c.at >= since)
    known = sa.select(product_neighbours.c.product)
    with db.read() as connection:
        return bool(connection.execute(sa.select(sa.exists(forgotten) & sa.exists(known))).scalar())
