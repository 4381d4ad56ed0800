"""Returns: finding them, opening those that a photo names, their history, and the queue of verdicts."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from returns_pipeline.records.returns import Return, ReturnAction, ReturnEvent
from returns_pipeline.store import bulk
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import images, return_events, returns, returns_to_judge

#: The columns of a `Return`, in the order of its fields.
COLUMNS = tuple(returns.c[name] for name in Return._fields)


def find(db: Database, number: str) -> Return | None:
    """Return the return with this number, or None."""
    with db.read() as connection:
        row = connection.execute(sa.select(*COLUMNS).where(returns.c.number == number)).one_or_none()
    return Return._make(row) if row else None


def get(db: Database, return_id: int) -> Return | None:
    """Return the return with this id, or None."""
    with db.read() as connection:
        row = connection.execute(sa.select(*COLUMNS).where(returns.c.id == return_id)).one_or_none()
    return Return._make(row) if row else None


def ids_of(connection: sa.Connection, numbers: Iterable[str]) -> dict[str, int]:
    """Return the ids of the returns with these numbers, announced or not, by number."""
    found: dict[str, int] = {}
    for part in bulk.parts(sorted(set(numbers))):
        query = sa.select(returns.c.number, returns.c.id).where(returns.c.number.in_(part))
        found.update((row.number, row.id) for row in connection.execute(query))
    return found


def open_of(connection: sa.Connection, numbers: Iterable[str]) -> dict[str, int]:
    """Return the ids of the returns with these numbers that were announced and have no decision."""
    found: dict[str, int] = {}
    for part in bulk.parts(sorted(set(numbers))):
        query = sa.select(returns.c.number, returns.c.id).where(
            returns.c.number.in_(part), returns.c.announced_on.is_not(None), returns.c.decision.is_(None)
        )
        found.update((row.number, row.id) for row in connection.execute(query))
    return found


def ensure(connection: sa.Connection, numbers: Iterable[str], source: str) -> dict[str, int]:
    """Return the ids of the returns with these numbers; open those that do not exist, unannounced.

    The numbers went through `records.returns.return_number`. In the order of the numbers, so that two
    transactions never wait for each other.
    """
    wanted = sorted(set(numbers))
    found = ids_of(connection, wanted)
    missing = [number for number in wanted if number not in found]
    if not missing:
        return found
    now = utc_now()
    insert: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(
        insert(returns).on_conflict_do_nothing(index_elements=[returns.c.number]),
        [{"number": n, "source": source[:255], "created_at": now, "changed_at": now} for n in missing],
    )
    found.update(ids_of(connection, missing))
    return found


def queue(connection: sa.Connection, return_ids: Iterable[int]) -> None:
    """Queue returns for judging, within the transaction of the cause.

    A row that waits already is written again, and so locked: `take_queued` then waits for this transaction,
    and reads the facts after it.
    """
    rows = [{"return_id": number, "since": utc_now()} for number in sorted(set(return_ids))]
    if rows:
        insert: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        statement = insert(returns_to_judge)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[returns_to_judge.c.return_id], set_={"since": returns_to_judge.c.since}
            ),
            rows,
        )


def of_images(condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Return a query of the returns of some images."""
    return sa.select(images.c.return_id).where(condition, images.c.return_id.is_not(None)).distinct()


def queue_found(connection: sa.Connection, query: sa.Select[Any], values: Mapping[str, object]) -> bool:
    """Queue the returns for judging that a query of `of_images` finds; return whether there are any."""
    found = list(connection.execute(query, values).scalars())
    queue(connection, found)
    return bool(found)


def queue_of_images(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> bool:
    """Queue the returns of some images for judging; return whether there are any."""
    return queue_found(connection, of_images(condition), {})


def take_queued(connection: sa.Connection, most: int) -> list[int]:
    """Remove at most `most` returns from the queue and return their ids.

    The caller reads their facts after this call and writes their verdicts in the same transaction. So a cause
    that is committed later queues its return again, and a process that is killed loses none.
    """
    waiting = (
        sa.select(returns_to_judge.c.return_id)
        .order_by(returns_to_judge.c.return_id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    ids = list(connection.execute(waiting).scalars())
    for part in bulk.parts(ids):
        connection.execute(sa.delete(returns_to_judge).where(returns_to_judge.c.return_id.in_(part)))
    return ids


def is_queued(db: Database) -> bool:
    """Whether a return waits for judging."""
    with db.read() as connection:
        return connection.execute(sa.select(returns_to_judge.c.return_id).limit(1)).first() is not None


def add_event(
    connection: sa.Connection, return_id: int, who: str, action: ReturnAction, **detail: object
) -> None:
    """Add to a return's history, within the transaction of the cause.

    The detail is short and has no order, customer or note, which can be deleted.
    """
    connection.execute(
        sa.insert(return_events).values(
            return_id=return_id, at=utc_now(), who=who[:100], action=action, detail=detail
        )
    )


def history(db: Database, return_id: int, most: int = 1000) -> list[ReturnEvent]:
    """Return what happened to a return, newest first."""
    query = (
        sa.select(return_events)
        .where(return_events.c.return_id == return_id)
        .order_by(return_events.c.id.desc())
        .limit(most)
    )
    with db.read() as connection:
        return [
            ReturnEvent(row.id, row.return_id, row.at, row.who, ReturnAction(row.action), row.detail)
            for row in connection.execute(query)
        ]
