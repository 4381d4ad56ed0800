"""Deletes what returns say about a customer. The returns stay, so that counts stand."""

import sqlalchemy as sa

from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.records.removal import DELETED
from returns_pipeline.records.returns import ReturnAction
from returns_pipeline.store import audit, bulk
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import images, return_events, returns


def returns_of(db: Database, customer: str) -> list[int]:
    """Return the returns of a customer."""
    query = sa.select(returns.c.id).where(returns.c.customer == customer).order_by(returns.c.id)
    with db.read() as connection:
        return list(connection.execute(query).scalars())


def photos_of(db: Database, customer: str) -> list[int]:
    """Return the images of a customer's returns that are not deleted."""
    query = (
        sa.select(images.c.id)
        .join_from(returns, images, images.c.return_id == returns.c.id)
        .where(returns.c.customer == customer, images.c.deleted_at.is_(None))
        .order_by(images.c.id)
    )
    with db.read() as connection:
        return list(connection.execute(query).scalars())


def begin(db: Database, customer: str) -> None:
    """Note that a customer's data is being deleted: from now on, verdicts of the returns stay."""
    with db.write() as connection:
        connection.execute(
            sa.update(returns)
            .where(returns.c.customer == customer, returns.c.customer_removed_at.is_(None))
            .values(customer_removed_at=utc_now())
        )


def forget(db: Database, customer: str, who: str, photos: int) -> int:
    """Remove a customer's reference, orders and notes from all returns; return how many they are.

    The audit log gets the counts, not the reference. A later import does not add them again.
    """
    now = utc_now()
    emptied = {"customer": None, "order_number": None, "note": None, "decision_note": None}
    with db.write(lasting=True) as connection:
        found = connection.execute(
            sa.select(returns.c.id).where(returns.c.customer == customer).order_by(returns.c.id)
        )
        ids = list(found.scalars())
        for part in bulk.parts(ids):
            connection.execute(
                sa.update(returns)
                .where(returns.c.id.in_(part))
                .values(**emptied, customer_removed_at=now, changed_at=now)
            )
            connection.execute(
                sa.insert(return_events),
                [
                    {
                        "return_id": each,
                        "at": now,
                        "who": who[:100],
                        "action": ReturnAction.CUSTOMER_DELETED,
                        "detail": {},
                    }
                    for each in part
                ],
            )
        if ids:
            counts = {"returns": len(ids), "photos": photos}
            audit.record(
                connection, who, AuditAction.CUSTOMER_DELETE, AuditSubject.CUSTOMER, DELETED, **counts
            )
    return len(ids)
