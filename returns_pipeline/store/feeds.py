"""Addresses that feeds list: each is a row once, and is fetched once."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from returns_pipeline.records.feeds import (
    FeedCounts,
    FeedReading,
    FeedState,
    ListedAddress,
    OpenAddress,
    RefusedAddress,
)
from returns_pipeline.records.returns import RefusedLine
from returns_pipeline.store import bulk
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import feed_addresses, feed_readings

#: The longest time for which an address waits until it is asked for again.
MOST_PAUSE = timedelta(days=1)
_COLUMNS = ("feed", "digest", "address", "host", "number", "state")
_OPEN = (FeedState.WAITING, FeedState.ARRIVED)


def digest_of(address: str) -> bytes:
    """Return 16 bytes by which an address is known."""
    return hashlib.blake2b(address.encode(), digest_size=16).digest()


def add(db: Database, feed: str, listed: Iterable[ListedAddress]) -> int:
    """Insert the addresses that the feed does not have yet; return how many."""
    rows: list[bulk.Row] = [
        (feed, digest_of(each.address), each.address, each.host, each.number, FeedState.WAITING.value)
        for each in listed
    ]
    with db.write() as connection:
        return bulk.insert(connection, feed_addresses, _COLUMNS, rows, "(feed, digest)")


def last_reading(db: Database, feed: str) -> FeedReading | None:
    """Return the last reading of a feed; None before the first."""
    table = feed_readings.c
    columns = (table.identity, table.read_at, table.lines, table.refused, table.faults, table.error)
    with db.read() as connection:
        row = connection.execute(sa.select(*columns).where(table.feed == feed)).one_or_none()
    if row is None:
        return None
    return FeedReading(*row[:4], [RefusedLine(*each) for each in row.faults], row.error)


def note_reading(db: Database, feed: str, reading: FeedReading) -> None:
    """Store a reading in place of the last one."""
    values = {**reading._asdict(), "faults": [list(each) for each in reading.faults]}
    statement = db.insert(feed_readings).values(feed=feed, **values)
    with db.write() as connection:
        connection.execute(
            statement.on_conflict_do_update(index_elements=[feed_readings.c.feed], set_=values)
        )


def due(db: Database, feed: str, now: datetime, most: int) -> list[OpenAddress]:
    """Return the addresses of a feed that may be asked for now, oldest first."""
    table = feed_addresses.c
    is_due = sa.or_(
        table.next_at.is_(None),
        table.next_at <= now,
        # It was written while the clock was ahead.
        table.next_at > now + MOST_PAUSE,
    )
    columns = (table.id, table.address, table.host, table.number, table.state, table.attempts)
    found: list[OpenAddress] = []
    with db.read() as connection:
        for state in reversed(_OPEN):
            query = sa.select(*columns).where(table.feed == feed, table.state == state, is_due)
            for row in connection.execute(query.order_by(table.id).limit(most)):
                listed = ListedAddress(row.address, row.host, row.number)
                found.append(OpenAddress(row.id, feed, listed, FeedState(row.state), row.attempts))
    return found


def arrive(db: Database, address_id: int) -> None:
    """Note that the photo of an address is whole on the disk: it is not fetched again. Lasting."""
    with db.write(lasting=True) as connection:
        _set(connection, address_id, state=FeedState.ARRIVED, reason=None, next_at=None)


def settle(db: Database, address_id: int, state: FeedState, reason: str | None = None) -> None:
    """Note that an address is done: FETCHED, or REFUSED for a reason."""
    with db.write() as connection:
        _set(connection, address_id, state=state, reason=reason, next_at=None)


def put_off(
    db: Database, address: OpenAddress, reason: str, until: datetime, *, whole_host: bool = False
) -> None:
    """Note that an attempt failed; the address, or all of its host, is not asked for before `until`."""
    table = feed_addresses.c
    of_host = sa.and_(
        table.feed == address.feed, table.state == FeedState.WAITING, table.host == address.listed.host
    )
    with db.write() as connection:
        if whole_host:
            connection.execute(sa.update(feed_addresses).where(of_host).values(next_at=until))
        _set(connection, address.id, attempts=address.attempts + 1, reason=reason, next_at=until)


def _set(connection: sa.Connection, address_id: int, **values: object) -> None:
    is_open = sa.and_(feed_addresses.c.id == address_id, feed_addresses.c.state.in_(_OPEN))
    connection.execute(sa.update(feed_addresses).where(is_open).values(**values))


def counts(db: Database, feed: str) -> FeedCounts:
    """Return how many addresses of a feed are in each state."""
    table = feed_addresses.c
    query = sa.select(table.state, sa.func.count()).where(table.feed == feed).group_by(table.state)
    with db.read() as connection:
        found = {state: int(count) for state, count in connection.execute(query)}
    return FeedCounts(
        sum(found.get(state, 0) for state in _OPEN),
        found.get(FeedState.FETCHED, 0),
        found.get(FeedState.REFUSED, 0),
    )


def refused(db: Database, feed: str, most: int) -> Sequence[RefusedAddress]:
    """Return the addresses that were refused, newest first."""
    return _with_reasons(db, feed, FeedState.REFUSED, most)


def failing(db: Database, feed: str, most: int) -> Sequence[RefusedAddress]:
    """Return the addresses that wait after an attempt failed, newest first."""
    return _with_reasons(db, feed, FeedState.WAITING, most)


def _with_reasons(db: Database, feed: str, state: FeedState, most: int) -> Sequence[RefusedAddress]:
    table = feed_addresses.c
    query = (
        sa.select(table.address, table.reason)
        .where(table.feed == feed, table.state == state, table.reason.is_not(None))
        .order_by(table.id.desc())
        .limit(most)
    )
    with db.read() as connection:
        return [RefusedAddress(*row) for row in connection.execute(query)]


def try_again(db: Database, feed: str) -> int:
    """Let the refused addresses of a feed be asked for again, and those that wait now; return how many."""
    table = feed_addresses.c
    again = sa.or_(
        table.state == FeedState.REFUSED,
        sa.and_(table.state == FeedState.WAITING, table.next_at.is_not(None)),
    )
    with db.write() as connection:
        done = connection.execute(
            sa.update(feed_addresses)
            .where(table.feed == feed, again)
            .values(state=FeedState.WAITING, reason=None, attempts=0, next_at=None)
        )
        return int(done.rowcount)
