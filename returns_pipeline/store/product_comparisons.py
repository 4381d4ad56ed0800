"""Returns whose photos are compared with the expected product: the queue of them, and what was found.

A return waits until its comparison is stored, in one transaction that has it judged again.
"""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from returns_pipeline.records.returns import ReturnDecision
from returns_pipeline.records.verdicts import ProductFacts, VerdictKind
from returns_pipeline.store import bulk, returns
from returns_pipeline.store.clocks import has_ended, is_past
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import (
    product_comparisons,
    product_images,
    products,
    returns_to_compare,
)
from returns_pipeline.store.tables import returns as returns_table

_waiting, _found = returns_to_compare.c, product_comparisons.c
#: Verdicts that a comparison may change.
_OPEN_VERDICTS = (VerdictKind.MATCH, VerdictKind.MISMATCH, VerdictKind.UNSURE)
#: Days for which returns are compared again in a new space.
_NEWEST_DAYS = 30
#: Accepted returns from which the rate of false alarms is measured, the newest.
_MOST_ACCEPTED = 1000


class Claim(NamedTuple):
    """A return that this process compares, with its expected product. `attempt` counts from 1."""

    return_id: int
    token: str
    attempt: int
    product: str


class Comparison(NamedTuple):
    """What was compared, and what was found; no facts if there is nothing to compare with.

    `images` are those that `return_verdicts.comparable` chooses.
    """

    product: str
    images: tuple[int, ...]
    space_id: int | None = None
    facts: ProductFacts | None = None


def queue(connection: sa.Connection, return_ids: Iterable[int]) -> None:
    """Queue returns for comparing, within the transaction of the cause; one that is being compared, again."""
    now = bulk.moment(connection, utc_now())
    ids = sorted(set(return_ids))
    for part in bulk.parts(ids):
        # Deleted first: a process that compares one now must not store what it has found.
        connection.execute(sa.delete(returns_to_compare).where(_waiting.return_id.in_(part)))
    bulk.insert(connection, returns_to_compare, ("return_id", "since"), [(each, now) for each in ids])


def queue_of_pictures(connection: sa.Connection, picture_ids: Sequence[int]) -> None:
    """Queue the returns that no person has decided, and whose product has one of these pictures."""
    for part in bulk.parts(picture_ids):
        of_pictures = sa.select(product_images.c.product).where(product_images.c.id.in_(part))
        queue_of_products(connection, products.c.id.in_(of_pictures))


def queue_of_products(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> None:
    """Queue the returns that no person has decided, and whose product is one of some products."""
    named = connection.execute(sa.select(products.c.product_id).where(condition)).scalars().all()
    for part in bulk.parts(named):
        query = sa.select(returns_table.c.id).where(
            returns_table.c.product.in_(part),
            returns_table.c.product.is_not(None),
            returns_table.c.decision.is_(None),
            returns_table.c.verdict.in_(_OPEN_VERDICTS),
        )
        queue(connection, connection.execute(query).scalars())


def queue_of_found(connection: sa.Connection, product_ids: Sequence[str]) -> None:
    """Queue the returns that no person has decided, and whose photos were compared with one of these too."""
    for part in bulk.parts(product_ids):
        query = (
            sa.select(returns_table.c.id)
            .join_from(product_comparisons, returns_table, returns_table.c.id == _found.return_id)
            .where(
                _found.other.in_(part),
                returns_table.c.decision.is_(None),
                returns_table.c.verdict.in_(_OPEN_VERDICTS),
            )
        )
        queue(connection, connection.execute(query).scalars())


def queue_newest(connection: sa.Connection) -> None:
    """Queue the undecided returns of the last days with a product: a new space compares them better."""
    query = sa.select(returns_table.c.id).where(
        returns_table.c.product.is_not(None),
        returns_table.c.decision.is_(None),
        returns_table.c.verdict.in_(_OPEN_VERDICTS),
        returns_table.c.verdict_at > utc_now() - timedelta(days=_NEWEST_DAYS),
    )
    queue(connection, connection.execute(query).scalars())


def claim(db: Database, lease_seconds: float) -> Claim | None:
    """Claim the next return that no process compares; None if there is none."""
    now, token = utc_now(), uuid.uuid4().hex
    with db.write() as connection:
        free = (
            sa.select(_waiting.return_id)
            .where(_is_free(now, lease_seconds))
            .order_by(_waiting.return_id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        return_id = connection.execute(free).scalar()
        if return_id is None:
            return None
        attempt = connection.execute(
            sa.update(returns_to_compare)
            .where(_waiting.return_id == return_id)
            .values(
                attempts=_waiting.attempts + 1,
                lease_token=token,
                lease_until=now + timedelta(seconds=lease_seconds),
            )
            .returning(_waiting.attempts)
        ).scalar_one()
        named = sa.select(returns_table.c.product).where(returns_table.c.id == return_id)
        return Claim(return_id, token, attempt, connection.execute(named).scalar() or "")


def release(db: Database, held: Claim) -> None:
    """Give a return back whose comparison was not its fault; the attempt does not count."""
    with db.write() as connection:
        connection.execute(
            sa.update(returns_to_compare)
            .where(_waiting.return_id == held.return_id, _waiting.lease_token == held.token)
            .values(lease_token=None, lease_until=None, attempts=held.attempt - 1)
        )


def store(db: Database, held: Claim, found: Comparison) -> bool:
    """Store a comparison and queue the return for judging; False if its facts have changed meanwhile."""
    facts = found.facts._asdict() if found.facts else dict.fromkeys(ProductFacts._fields)
    values = {**facts, "product": found.product, "images": list(found.images), "space_id": found.space_id}
    with db.write() as connection:
        done = connection.execute(
            sa.delete(returns_to_compare).where(
                _waiting.return_id == held.return_id, _waiting.lease_token == held.token
            )
        )
        if not done.rowcount:
            return False
        connection.execute(
            db.insert(product_comparisons)
            .values(return_id=held.return_id, compared_at=utc_now(), **values)
            .on_conflict_do_update(index_elements=["return_id"], set_={"compared_at": utc_now(), **values})
        )
        returns.queue(connection, [held.return_id])
    return True


def of_returns(connection: sa.Connection, return_ids: Sequence[int]) -> dict[int, Comparison]:
    """Return the stored comparisons of returns, by return."""
    fields = (_found[name] for name in ProductFacts._fields)
    columns = (_found.return_id, _found.images, _found.space_id, *fields)
    found: dict[int, Comparison] = {}
    for part in bulk.parts(return_ids):
        query = sa.select(*columns).where(_found.return_id.in_(part))
        for return_id, image_ids, space_id, *values in connection.execute(query):
            facts = ProductFacts._make(values)
            is_whole = facts.rate is not None and facts.image is not None
            found[return_id] = Comparison(
                facts.product, tuple(image_ids), space_id, facts if is_whole else None
            )
    return found


def forget(connection: sa.Connection, image_ids: Sequence[int]) -> None:
    """Remove the comparisons of images, in the transaction that deletes them."""
    connection.execute(sa.delete(product_comparisons).where(_found.image.in_(image_ids)))


def accepted_margins(db: Database, space_id: int) -> list[float]:
    """Return how much more the photos of accepted returns look like their product than like the next one.

    Of the newest returns that a person has accepted, and whose photos were compared in this space.
    """
    query = (
        sa.select(_found.likeness - _found.other_likeness)
        .join_from(product_comparisons, returns_table, returns_table.c.id == _found.return_id)
        .where(
            _found.space_id == space_id,
            _found.rate.is_not(None),
            returns_table.c.decision == ReturnDecision.ACCEPT,
        )
        .order_by(_found.return_id.desc())
        .limit(_MOST_ACCEPTED)
    )
    with db.read() as connection:
        return [float(each) for each in connection.execute(query).scalars()]


def is_waiting(db: Database) -> bool:
    """Whether a return waits for its comparison."""
    with db.read() as connection:
        return connection.execute(sa.select(_waiting.return_id).limit(1)).first() is not None


def is_lost(db: Database, lease_seconds: float, resend_seconds: float) -> bool:
    """Whether a return has waited for over `resend_seconds`, and no process compares it."""
    now = utc_now()
    query = sa.select(_waiting.return_id).where(
        _is_free(now, lease_seconds), is_past(_waiting.since, now, resend_seconds)
    )
    with db.read() as connection:
        return connection.execute(query.limit(1)).first() is not None


def _is_free(now: datetime, lease_seconds: float) -> sa.ColumnElement[bool]:
    return sa.or_(_waiting.lease_until.is_(None), has_ended(_waiting.lease_until, now, lease_seconds))
