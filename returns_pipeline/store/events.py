"""What customers did with products."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.records.recommendations import Event, EventKind
from returns_pipeline.records.removal import DELETED
from returns_pipeline.store import audit, bulk
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import events, forgotten_customers, returns

_COLUMNS = ("customer", "at", "product", "kind")
_FIELDS = tuple(events.c[name] for name in Event._fields)
#: Events that are read together.
_TOGETHER = 10_000


def add(db: Database, given: Sequence[Event]) -> int:
    """Add the events that are not known yet, in one transaction; return how many these were.

    Events of a forgotten customer until the moment of forgetting are left out.
    """
    with db.write() as connection:
        forgotten = _forgotten(connection, {each.customer for each in given})
        rows: list[bulk.Row] = [
            (each.customer, bulk.moment(connection, each.at), each.product, each.kind)
            for each in given
            if each.customer not in forgotten or each.at > forgotten[each.customer]
        ]
        return bulk.insert(connection, events, _COLUMNS, rows)


def _forgotten(connection: sa.Connection, customers: set[str]) -> dict[str, datetime]:
    """Return when customers were forgotten."""
    digests = {_digest(customer): customer for customer in customers}
    columns = forgotten_customers.c
    found: dict[str, datetime] = {}
    for part in bulk.parts(list(digests)):
        rows = connection.execute(sa.select(columns.digest, columns.at).where(columns.digest.in_(part)))
        found |= {digests[row.digest]: row.at for row in rows}
    return found


def _digest(customer: str) -> bytes:
    return sha256(customer.encode()).digest()


def of_customer(db: Database, customer: str, most: int) -> list[Event]:
    """Return the newest events of a customer, the newest first."""
    query = sa.select(*_FIELDS).where(events.c.customer == customer)
    query = query.order_by(events.c.at.desc(), events.c.product, events.c.kind).limit(most)
    with db.read() as connection:
        return [_event(row) for row in connection.execute(query)]


def returned_by(db: Database, customer: str) -> set[str]:
    """Return the products that a customer returned, by the returns and by the events."""
    with db.read() as connection:
        by_return = sa.select(returns.c.product).where(
            returns.c.customer == customer, returns.c.product.is_not(None)
        )
        by_event = sa.select(events.c.product).where(
            events.c.customer == customer, events.c.kind == EventKind.RETURNED
        )
        return set(connection.execute(sa.union(by_return, by_event)).scalars())


def every(db: Database) -> Iterator[Event]:
    """Yield all events, by customer; some rows at a time."""
    query = sa.select(*_FIELDS).order_by(events.c.customer, events.c.at)
    with db.read(in_parts=True) as connection:
        for row in connection.execution_options(yield_per=_TOGETHER).execute(query):
            yield _event(row)


def _event(row: Any) -> Event:
    return Event(row.customer, row.product, EventKind(row.kind), row.at)


def count_of(db: Database, customer: str) -> int:
    """Return how many events a customer has."""
    query = sa.select(sa.func.count()).select_from(events).where(events.c.customer == customer)
    with db.read() as connection:
        return int(connection.execute(query).scalar_one())


def forget(db: Database, customer: str, who: str) -> int:
    """Remove the events of a customer; return how many they were. The audit log gets the count alone.

    A later import does not add events of before.
    """
    with db.write(lasting=True) as connection:
        count = remove(connection, customer)
        audit.record(
            connection, who, AuditAction.CUSTOMER_DELETE, AuditSubject.CUSTOMER, DELETED, events=count
        )
    return count


def remove(connection: sa.Connection, customer: str) -> int:
    """Remove the events of a customer within a transaction; return how many they were."""
    values = {"digest": _digest(customer), "at": utc_now()}
    columns = forgotten_customers.c
    changed = connection.execute(
        sa.update(forgotten_customers).where(columns.digest == values["digest"]).values(at=values["at"])
    )
    if not changed.rowcount:
        connection.execute(sa.insert(forgotten_customers).values(values))
    return connection.execute(sa.delete(events).where(events.c.customer == customer)).rowcount
